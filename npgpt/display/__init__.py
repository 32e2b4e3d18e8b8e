"""What results are shown with: pictures by matplotlib, and tables and plots for a terminal."""

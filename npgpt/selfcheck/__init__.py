"""npgpt examines itself: every op and whole models, against numeric derivatives in float64."""

/* Reading and writing the tensors of a conformance pack of npgpt, for a port in C.

   pack_open("my-pack/pack.safetensors");
   const double *x = pack_get("float64/activations/embedding.sum");   C order; NULL: no such name
   pack_put("float64/activations/h.0.ln_1", "F64", "[3,7,12]", mine, 3 * 7 * 12 * 8);
   pack_save("mine.safetensors");

   float32/... are float, ids and targets int64_t. A safetensors file is 8 bytes, the length n of the
   header; n bytes of JSON, {"name":{"dtype":"F64","shape":[2,3],"data_offsets":[0,48]},...}; and
   the numbers, little-endian, at those offsets. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *pack_header, *pack_data, pack_out[1 << 16];
static struct { const void *data; size_t bytes; } pack_mine[999];
static size_t pack_size;
static int pack_count;

static void pack_open(const char *path) {
    uint64_t n;
    FILE *f = fopen(path, "rb");
    if (!f || fread(&n, 8, 1, f) != 1) { fprintf(stderr, "cannot read %s\n", path); exit(1); }
    fseek(f, 0, SEEK_END);
    size_t rest = ftell(f) - 8 - n;
    fseek(f, 8, SEEK_SET);
    pack_header = calloc(n + 1, 1);
    pack_data = malloc(rest);
    if (fread(pack_header, 1, n, f) != n || fread(pack_data, 1, rest, f) != rest) exit(1);
    fclose(f);
}

static const void *pack_get(const char *name) {
    char key[256];
    snprintf(key, sizeof key, "\"%s\":", name);
    char *entry = strstr(pack_header, key);
    return entry ? pack_data + atol(strstr(entry, "data_offsets\":[") + 15) : NULL;
}

static void pack_put(const char *name, const char *dtype, const char *shape, const void *data,
                     size_t bytes) {
    size_t end = strlen(pack_out);
    snprintf(pack_out + end, sizeof pack_out - end,
             "%c\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
             pack_count ? ',' : '{', name, dtype, shape, pack_size, pack_size + bytes);
    pack_mine[pack_count].data = data;
    pack_mine[pack_count++].bytes = bytes;
    pack_size += bytes;
}

static void pack_save(const char *path) {
    uint64_t n = strlen(strcat(pack_out, "}"));
    FILE *f = fopen(path, "wb");
    fwrite(&n, 8, 1, f);
    fwrite(pack_out, 1, n, f);
    for (int i = 0; i < pack_count; i++) fwrite(pack_mine[i].data, 1, pack_mine[i].bytes, f);
    fclose(f);
}

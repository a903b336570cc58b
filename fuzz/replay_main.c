/* Replays a corpus through a fuzz target, in builds without libFuzzer: every file of the folders and files given,
 * and the empty input. Fails when there is no file. Prints what a cmocka program prints, so that tests are counted
 * alike. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input lies in a block of its exact size, so that a sanitizer sees a read past its end. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    size_t size = 0, capacity = 1 << 16;
    uint8_t *data = malloc(capacity);
    while (data) {
        size += fread(data + size, 1, capacity - size, file);
        if (size < capacity)
            break;
        capacity *= 2;
        uint8_t *grown = realloc(data, capacity);
        if (!grown)
            free(data);
        data = grown;
    }
    int bad = !data || ferror(file);
    fclose(file);
    uint8_t *exact = bad ? NULL : malloc(size ? size : 1);
    if (exact) {
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
    } else {
        fprintf(stderr, "%s: cannot be read\n", path);
    }
    free(exact);
    free(data);
    return exact ? 1 : -1;
}

/* Files replayed, or -1. */
static int replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        return -1;
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path);
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort), total = 0;
    for (int i = 0; i < count; i++) {
        char name[4096];
        int length = snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && total >= 0) {
            int done = length < (int)sizeof name ? replay(name) : -1;
            total = done < 0 ? -1 : total + done;
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return count < 0 ? -1 : total;
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    printf("[ RUN      ] %s corpus\n", name);
    fflush(stdout);
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    int total = 0;
    for (int i = 1; i < argc && total >= 0; i++) {
        int done = replay(argv[i]);
        total = done < 0 ? -1 : total + done;
    }
    if (total > 0)
        printf("%d inputs replayed\n[       OK ] %s corpus\n", total, name);
    else
        printf("no inputs replayed\n[  FAILED  ] %s corpus\n", name);
    return total > 0 ? 0 : 1;
}

#include "cli/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/terminal.h"

char *qn_text_file_read(const char *path, size_t *size, int *code)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    size_t room = 1 << 16, used = 0, got;
    char *text = file ? malloc(room) : NULL;
    while (text && (got = fread(text + used, 1, room - used - 1, file)) > 0) {
        used += got;
        if (room - used < room / 4) {
            char *grown = room > (size_t)-1 / 2 ? NULL : realloc(text, room * 2);
            if (!grown)
                free(text);
            text = grown;
            room *= 2;
        }
    }
    bool failed = !file || ferror(file);
    int reason = errno;
    if (file && file != stdin)
        fclose(file);
    if (text && !failed) {
        text[used] = 0;
        *size = used;
        return text;
    }
    if (failed)
        qn_terminal_error("%s: %s", path, strerror(reason));
    else
        qn_terminal_error("%s: not enough memory", path);
    *code = !file && reason == ENOENT ? QN_EXIT_NOT_FOUND : QN_EXIT_FAILED;
    free(text);
    return NULL;
}

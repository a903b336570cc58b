/* A text file read into memory, for commands that measure models on text. */
#ifndef QN_CLI_TEXT_FILE_H
#define QN_CLI_TEXT_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* The whole file ("-": standard input), terminated; free with free(). NULL after an error message, *code is then the
 * exit code. */
char *qn_text_file_read(const char *path, size_t *size, int *code);

#endif

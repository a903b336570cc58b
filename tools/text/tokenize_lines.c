/* For compare_tokenizers.py: opens the tokenizer that the first argument names, reads texts (one a line, or two with a
 * comma between, in hexadecimal; "-" is the empty text) and writes for each what encoding and decoding make of it. The
 * second argument holds letters: b bare, o byte offsets instead of characters, n nothing special is parsed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/tokenizer.h"

enum { LINE_MAX_BYTES = 1 << 24 };

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c - 'a' + 10;
}

static size_t unhex(const char *from, size_t size, char *to)
{
    for (size_t i = 0; i + 1 < size; i += 2)
        to[i / 2] = (char)(digit(from[i]) * 16 + digit(from[i + 1]));
    return size / 2;
}

static void print_tokens(const struct qn_encoded *e)
{
    for (size_t i = 0; i < e->count; i++) {
        const struct qn_encoded_token *t = &e->tokens[i];
        printf("%s%d:%u:%u:%u:%d:%d:%d", i ? " " : "", t->id, t->begin, t->end, t->type_id, t->word, t->special,
               t->attended);
    }
    for (size_t i = 0; i < e->overflow_count; i++) {
        putchar('|');
        print_tokens(&e->overflow[i]);
    }
}

static void print_text(const struct qn_tokenizer *t, const struct qn_encoded *e, bool special)
{
    struct qn_decode_options options = {.struct_size = sizeof options, .special = special};
    struct qn_text text = {0};
    int32_t *ids = malloc((e->count + 1) * sizeof *ids);
    for (size_t i = 0; i < e->count; i++)
        ids[i] = e->tokens[i].id;
    qn_status status = qn_tokenizer_decode(t, ids, e->count, &options, &text);
    putchar('\t');
    if (status)
        printf("!%s", qn_status_message(status));
    for (size_t i = 0; i < text.size && !status; i++)
        printf("%02x", (unsigned char)text.data[i]);
    qn_status_free(status);
    qn_text_free(&text);
    free(ids);
}

int main(int argc, char **argv)
{
    static char line[LINE_MAX_BYTES], first[LINE_MAX_BYTES / 2], second[LINE_MAX_BYTES / 2];
    const char *letters = argc > 2 ? argv[2] : "";
    struct qn_tokenizer *t;
    qn_status status = qn_tokenizer_open(argc > 1 ? argv[1] : "", NULL, &t);
    if (status) {
        printf("!%s\n", qn_status_message(status));
        qn_status_free(status);
        return 1;
    }
    struct qn_pair_options options = {.struct_size = sizeof options,
                                      .bare = strchr(letters, 'b'),
                                      .parse_special = !strchr(letters, 'n'),
                                      .characters = !strchr(letters, 'o')};
    while (fgets(line, sizeof line, stdin)) {
        size_t size = strcspn(line, "\n");
        const char *comma = memchr(line, ',', size);
        size_t first_size = unhex(line, comma ? (size_t)(comma - line) : size, first), second_size = 0;
        if (comma)
            second_size = unhex(comma + 1, size - (size_t)(comma - line) - 1, second);
        struct qn_encoded e = {0};
        status = qn_tokenizer_encode_pair(t, first, first_size, comma ? second : NULL, second_size, &options, &e);
        if (status) {
            printf("!%s\n", qn_status_message(status));
            qn_status_free(status);
            continue;
        }
        print_tokens(&e);
        print_text(t, &e, false);
        print_text(t, &e, true);
        putchar('\n');
        qn_encoded_free(&e);
    }
    qn_tokenizer_free(t);
    return 0;
}

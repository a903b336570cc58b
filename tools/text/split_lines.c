/* For make_pre_golden.py --random: reads texts as hexadecimal lines and writes their pieces, as the pre-tokeniser that
 * the argument names cuts them. */
#include <stdio.h>
#include <string.h>

#include "text/tokenizer/pre.h"
#include "text/tokenizer/split.h"

static size_t read_line(char *bytes, size_t capacity)
{
    size_t size = 0;
    unsigned value;
    while (size < capacity && scanf("%2x", &value) == 1) {
        bytes[size++] = (char)value;
        int next = getchar();
        if (next == '\n' || next == EOF)
            break;
        ungetc(next, stdin);
    }
    return size;
}

int main(int argc, char **argv)
{
    static char text[1 << 16];
    const struct qn_pre *pre = argc > 1 ? qn_pre_find(qn_str_from(argv[1])) : NULL;
    struct qn_matcher *matcher;
    struct qn_split splits[QN_PRE_PATTERNS_MAX];
    size_t count = 0, size;
    if (!pre || qn_matcher_create(NULL, &matcher))
        return 1;
    for (; count < QN_PRE_PATTERNS_MAX && pre->patterns[count]; count++) {
        splits[count] = (struct qn_split){.behavior = QN_SPLIT_ISOLATED};
        if (qn_regex_create(qn_str_from(pre->patterns[count]), NULL, &splits[count].regex))
            return 1;
    }
    while ((size = read_line(text, sizeof text)) > 0) {
        struct qn_pieces pieces = {0}, next = {0};
        if (!qn_array_push(&pieces.list, qn_allocator_default(), (struct qn_piece){0, (uint32_t)size}))
            return 1;
        for (size_t i = 0; i < count; i++) {
            next.list.count = 0;
            for (uint32_t k = 0; k < pieces.list.count; k++)
                if (qn_split_piece(&splits[i], matcher, text, pieces.list.items[k], qn_allocator_default(), &next))
                    return 1;
            struct qn_pieces swap = pieces;
            pieces = next;
            next = swap;
        }
        for (uint32_t k = 0; k < pieces.list.count; k++) {
            for (uint32_t at = pieces.list.items[k].begin; at < pieces.list.items[k].end; at++)
                printf("%02x", (unsigned char)text[at]);
            putchar(k + 1 < pieces.list.count ? ' ' : '\n');
        }
        qn_array_free(&pieces.list, qn_allocator_default());
        qn_array_free(&next.list, qn_allocator_default());
    }
    return 0;
}

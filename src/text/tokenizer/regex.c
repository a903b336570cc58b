#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/tokenizer/regex.h"

#include <pcre2.h>

struct qn_regex {
    const struct qn_allocator *allocator;
    pcre2_general_context *memory;
    pcre2_code *code;
    bool jit;
};

struct qn_matcher {
    const struct qn_allocator *allocator;
    pcre2_general_context *memory;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack; /* NULL until a pattern needs more than the 32 KiB that the JIT takes from the machine's */
};

/* Backtracking steps for one search, and bytes of JIT stack: enough for megabytes of text without a space, an end for
 * patterns that explode. */
enum { MATCH_LIMIT = 10000000, JIT_STACK_MAX = 64 << 20 };

/* ---- memory: PCRE2 frees without a size, so each block remembers its own -------------------------------------- */

enum { BLOCK_HEADER = 16 };

static void *block_alloc(PCRE2_SIZE size, void *context)
{
    const struct qn_allocator *allocator = context;
    size_t total = size + BLOCK_HEADER;
    char *block = total < size ? NULL : qn_alloc(allocator, total);
    if (!block)
        return NULL;
    memcpy(block, &total, sizeof total);
    return block + BLOCK_HEADER;
}

static void block_free(void *ptr, void *context)
{
    if (!ptr)
        return;
    char *block = (char *)ptr - BLOCK_HEADER;
    size_t total;
    memcpy(&total, block, sizeof total);
    qn_free(context, block, total);
}

static pcre2_general_context *create_memory(const struct qn_allocator *allocator)
{
    return pcre2_general_context_create(block_alloc, block_free, (void *)allocator);
}

/* ---- compiling ------------------------------------------------------------------------------------------------ */

static qn_status compile(struct qn_regex *regex, struct qn_str pattern, const struct qn_strbuf *translated)
{
    int error = 0;
    PCRE2_SIZE at = 0;
    pcre2_compile_context *context = pcre2_compile_context_create(regex->memory);
    if (!context)
        return QN_OOM();
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    regex->code =
        pcre2_compile((PCRE2_SPTR)(translated->data ? translated->data : ""), translated->size,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &at, context);
    pcre2_compile_context_free(context);
    if (!regex->code && (error == PCRE2_ERROR_NOMEMORY || error == PCRE2_ERROR_HEAP_FAILED))
        return QN_OOM();
    if (!regex->code) {
        PCRE2_UCHAR message[128] = "";
        pcre2_get_error_message(error, message, sizeof message);
        return QN_ERROR(QN_INVALID_ARGUMENT, "pattern '%.*s': %s", QN_STR_ARG(pattern), (const char *)message);
    }
    regex->jit = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0; /* without it, the interpreter serves */
    return NULL;
}

qn_status qn_regex_create(struct qn_str pattern, const struct qn_allocator *allocator, struct qn_regex **out)
{
    allocator = allocator ? allocator : qn_allocator_default();
    struct qn_regex *regex = qn_calloc(allocator, 1, sizeof *regex);
    if (!regex)
        return QN_OOM();
    regex->allocator = allocator;
    regex->memory = create_memory(allocator);
    struct qn_strbuf translated;
    qn_strbuf_init(&translated, allocator);
    qn_status status = regex->memory ? qn_regex_translate(pattern, &translated) : QN_OOM();
    if (!status)
        status = compile(regex, pattern, &translated);
    qn_strbuf_deinit(&translated);
    if (status) {
        qn_regex_free(regex);
        return status;
    }
    *out = regex;
    return NULL;
}

void qn_regex_free(struct qn_regex *regex)
{
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    pcre2_general_context_free(regex->memory);
    qn_free(regex->allocator, regex, sizeof *regex);
}

/* ---- searching ------------------------------------------------------------------------------------------------ */

qn_status qn_matcher_create(const struct qn_allocator *allocator, struct qn_matcher **out)
{
    allocator = allocator ? allocator : qn_allocator_default();
    struct qn_matcher *matcher = qn_calloc(allocator, 1, sizeof *matcher);
    if (!matcher)
        return QN_OOM();
    matcher->allocator = allocator;
    matcher->memory = create_memory(allocator);
    if (matcher->memory) {
        matcher->data = pcre2_match_data_create(1, matcher->memory);
        matcher->context = pcre2_match_context_create(matcher->memory);
    }
    if (!matcher->data || !matcher->context) {
        qn_matcher_free(matcher);
        return QN_OOM();
    }
    pcre2_set_match_limit(matcher->context, MATCH_LIMIT);
    *out = matcher;
    return NULL;
}

void qn_matcher_free(struct qn_matcher *matcher)
{
    if (!matcher)
        return;
    pcre2_jit_stack_free(matcher->stack);
    pcre2_match_context_free(matcher->context);
    pcre2_match_data_free(matcher->data);
    pcre2_general_context_free(matcher->memory);
    qn_free(matcher->allocator, matcher, sizeof *matcher);
}

static int search(const struct qn_regex *regex, struct qn_matcher *m, const char *text, size_t size, size_t start)
{
    if (!regex->jit)
        return pcre2_match(regex->code, (PCRE2_SPTR)text, size, start, PCRE2_NO_UTF_CHECK, m->data, m->context);
    int rc = pcre2_jit_match(regex->code, (PCRE2_SPTR)text, size, start, 0, m->data, m->context);
    if (rc != PCRE2_ERROR_JIT_STACKLIMIT || m->stack)
        return rc;
    m->stack = pcre2_jit_stack_create(32 << 10, JIT_STACK_MAX, m->memory);
    if (!m->stack)
        return PCRE2_ERROR_NOMEMORY;
    pcre2_jit_stack_assign(m->context, NULL, m->stack);
    return pcre2_jit_match(regex->code, (PCRE2_SPTR)text, size, start, 0, m->data, m->context);
}

qn_status qn_regex_find(const struct qn_regex *regex, struct qn_matcher *matcher, const char *text, size_t size,
                        size_t start, size_t *begin, size_t *end, bool *found)
{
    int rc = search(regex, matcher, text, size, start);
    *found = rc >= 0;
    if (rc >= 0) {
        const PCRE2_SIZE *range = pcre2_get_ovector_pointer(matcher->data);
        *begin = range[0];
        *end = range[1] < range[0] ? range[0] : range[1]; /* \K in a look-ahead can turn them round */
        return NULL;
    }
    if (rc == PCRE2_ERROR_NOMATCH)
        return NULL;
    if (rc == PCRE2_ERROR_NOMEMORY)
        return QN_OOM();
    PCRE2_UCHAR message[128] = "";
    pcre2_get_error_message(rc, message, sizeof message);
    return QN_ERROR(QN_OUT_OF_RANGE, "a pattern of the pre-tokeniser gave up at byte %zu of %zu: %s", start, size,
                    (const char *)message);
}

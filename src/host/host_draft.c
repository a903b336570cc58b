/* Tokens that were decoded all at once after a draft: how many of them hold, and where the draft goes on. */
#include "host/host_call.h"
#include "ir/ir.h"

/* The first place in text[from..count) where the last `size` of tokens stand; -1: none. */
static int64_t find(const int64_t *text, int64_t from, int64_t count, const int64_t *word, int64_t size)
{
    for (int64_t i = from; i + size <= count; i++)
        if (memcmp(text + i, word, (size_t)size * sizeof *word) == 0)
            return i;
    return -1;
}

/* The element behind the longest n-gram at the tokens' end that the source has; of one that it has twice a longer one
 * is looked for. */
static qn_status place_of(const struct qn_host_call *c, const struct qn_view *source, const struct qn_view *tokens,
                          int64_t *place)
{
    const struct qn_attr_accept_draft *attr = c->attr;
    const int64_t *text = source->data, *all = tokens->data, n = source->dims[0], t = tokens->dims[0];
    *place = -1;
    for (int64_t size = attr->least; size <= attr->most && size <= t; size++) {
        QN_TRY(qn_host_go_on(c));
        int64_t at = find(text, 0, n, all + t - size, size);
        if (at < 0)
            break;
        *place = at + size;
        if (*place >= n)
            break;
        if (find(text, at + 1, n, all + t - size, size) >= 0)
            *place = -1;
    }
    return NULL;
}

/* Tokens of the draft that hold: as many as are the source's, and the first that is not. */
static qn_status held(const struct qn_host_call *c, const struct qn_view *source, int64_t *count)
{
    struct qn_view draft;
    int64_t place, n = source->dims[0];
    *count = 0;
    if (!qn_host_has(c, 3))
        return NULL;
    QN_TRY(qn_host_tensor(c, 3, &draft));
    QN_TRY(qn_host_integer(c, 2, &place));
    if (draft.dtype != QN_DTYPE_I64 || draft.rank != 1 || place < 0 || place > n || draft.dims[0] != n + 1 - place)
        return QN_ERROR(QN_INVALID_ARGUMENT,
                        "a draft of %" PRId64 " tokens from place %" PRId64 " of %" PRId64
                        " on: expected a place among them, and one token more than there are from there on",
                        draft.rank ? draft.dims[0] : 1, place, n);
    const int64_t *said = draft.data, *text = source->data;
    while (*count < n - place && said[*count] == text[place + *count])
        ++*count;
    ++*count;
    return NULL;
}

qn_status qn_host_accept_draft(const struct qn_host_call *c)
{
    struct qn_view in[3];
    int64_t more, place;
    for (uint32_t i = 0; i < 3; i++) {
        QN_TRY(qn_host_tensor(c, i, &in[i]));
        if (in[i].dtype != QN_DTYPE_I64 || (i < 2 && in[i].rank != 1))
            return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is no list of i64", i);
    }
    if (qn_view_elems(&in[2]) != 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the place before has %" PRId64 " elements, expected 1",
                        qn_view_elems(&in[2]));
    QN_TRY(held(c, &in[0], &more));
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_I64, 1, (int64_t[]){in[1].dims[0] + more}, &c->out[0]));
    int64_t *y = c->out[0]->tensor.data;
    if (in[1].dims[0])
        memcpy(y, in[1].data, (size_t)in[1].dims[0] * sizeof *y);
    if (more)
        memcpy(y + in[1].dims[0], c->in_objects[3] ? c->in_objects[3]->tensor.data : c->in[3].data,
               (size_t)more * sizeof *y);
    QN_TRY(place_of(c, &in[0], &c->out[0]->tensor, &place));
    QN_TRY(qn_object_tensor(c->store, QN_DTYPE_I64, in[2].rank, in[2].dims, &c->out[1]));
    memcpy(c->out[1]->tensor.data, &place, sizeof place);
    return NULL;
}

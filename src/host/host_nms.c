/* Non-maximum suppression: the best boxes of each class that do not overlap a better one too much. */
#include "host/host_call.h"
#include "ir/ir.h"

struct box {
    float y1, x1, y2, x2, area;
};

enum { LANES = 4 };

typedef float floats __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t flags __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef int64_t words __attribute__((vector_size(LANES * sizeof(int32_t))));

/* LANES boxes; the area of one that is not there is 0. */
struct boxes {
    floats y1, x1, y2, x2, area;
};

struct candidate {
    float score;
    int32_t box;
};

struct nms {
    const struct qn_host_call *call;
    int64_t batches, classes, boxes;
    const float *corners, *scores; /* [b, n, 4], [b, c, n] */
    int64_t most;                  /* of a class */
    float iou, least_score;
    bool has_score, center;
    struct box *box; /* of the batch under way */
    struct candidate *order, *spare;
    struct boxes *kept;
    int64_t *found; /* triples */
    int64_t count, room;
};

static float least(float a, float b)
{
    return a < b ? a : b;
}
static float most(float a, float b)
{
    return a > b ? a : b;
}

/* Corners in either order, or centre and size. */
static void read_boxes(struct nms *n, int64_t batch)
{
    for (int64_t i = 0; i < n->boxes; i++) {
        const float *p = n->corners + (batch * n->boxes + i) * 4;
        struct box *box = &n->box[i];
        if (n->center)
            *box = (struct box){p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2, 0};
        else
            *box = (struct box){least(p[0], p[2]), least(p[1], p[3]), most(p[0], p[2]), most(p[1], p[3]), 0};
        box->area = (box->y2 - box->y1) * (box->x2 - box->x1);
    }
}

static floats choose(flags where, floats a, floats b)
{
    return (floats)(((flags)a & where) | ((flags)b & ~where));
}

static bool any(flags f)
{
    words w = (words)f;
    return (w[0] | w[1]) != 0;
}

/* One of `some` overlaps the box by more than the threshold. */
static bool overlap(const struct boxes *some, const struct box *box, float threshold)
{
    floats y1 = (floats){0} + box->y1, x1 = (floats){0} + box->x1, y2 = (floats){0} + box->y2;
    floats x2 = (floats){0} + box->x2, area = (floats){0} + box->area;
    floats height = choose(some->y2 < y2, some->y2, y2) - choose(some->y1 > y1, some->y1, y1);
    floats width = choose(some->x2 < x2, some->x2, x2) - choose(some->x1 > x1, some->x1, x1);
    floats both = height * width, either = some->area + area - both;
    flags meet = (height > 0) & (width > 0) & (some->area > 0) & (area > 0) & (either > 0);
    return any(meet & (both > threshold * 0.999F * either)) && any(meet & (both / either > threshold)); /* few divide */
}

/* As the kept box number k. */
static void hold(struct boxes *kept, int64_t k, const struct box *box)
{
    struct boxes *to = &kept[k / LANES];
    int64_t i = k % LANES;
    if (i == 0)
        *to = (struct boxes){0};
    to->y1[i] = box->y1;
    to->x1[i] = box->x1;
    to->y2[i] = box->y2;
    to->x2[i] = box->x2;
    to->area[i] = box->area;
}

/* Best score first, of equal ones the lower number; merge sort. */
static void sort_candidates(struct candidate *order, struct candidate *spare, int64_t n)
{
    struct candidate *from = order, *to = spare;
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t start = 0; start < n; start += 2 * run) {
            int64_t middle = start + run < n ? start + run : n, end = start + 2 * run < n ? start + 2 * run : n;
            int64_t a = start, b = middle;
            for (int64_t i = start; i < end; i++) {
                bool left = b >= end || (a < middle && from[a].score >= from[b].score);
                to[i] = left ? from[a++] : from[b++];
            }
        }
        struct candidate *swap = from;
        from = to;
        to = swap;
    }
    if (from != order && n)
        memcpy(order, from, (size_t)n * sizeof *order);
}

static qn_status keep(struct nms *n, int64_t batch, int64_t class_, int64_t box)
{
    if (n->count == n->room) {
        int64_t room = n->room ? n->room * 2 : 256;
        int64_t *more = qn_store_take(n->call->store, (uint64_t)room * 3 * sizeof *more);
        if (!more)
            return QN_OOM();
        if (n->count)
            memcpy(more, n->found, (size_t)n->count * 3 * sizeof *more);
        qn_store_give(n->call->store, n->found);
        n->found = more;
        n->room = room;
    }
    int64_t *triple = n->found + 3 * n->count++;
    triple[0] = batch;
    triple[1] = class_;
    triple[2] = box;
    return NULL;
}

static qn_status select_class(struct nms *n, int64_t batch, int64_t class_)
{
    const float *scores = n->scores + (batch * n->classes + class_) * n->boxes;
    int64_t candidates = 0, kept = 0;
    for (int64_t i = 0; i < n->boxes; i++)
        if (scores[i] == scores[i] && (!n->has_score || scores[i] > n->least_score))
            n->order[candidates++] = (struct candidate){scores[i], (int32_t)i};
    sort_candidates(n->order, n->spare, candidates);
    for (int64_t i = 0; i < candidates && kept < n->most; i++) {
        QN_TRY(qn_host_go_on(n->call));
        const struct box *box = &n->box[n->order[i].box];
        bool free_ = true;
        for (int64_t k = 0; k < kept && free_; k += LANES)
            free_ = !overlap(&n->kept[k / LANES], box, n->iou);
        if (!free_)
            continue;
        hold(n->kept, kept++, box);
        QN_TRY(keep(n, batch, class_, n->order[i].box));
    }
    return NULL;
}

static qn_status take_number(const struct qn_host_call *c, uint32_t i, float *out)
{
    struct qn_view view;
    if (!qn_host_has(c, i))
        return NULL;
    QN_TRY(qn_host_tensor(c, i, &view));
    if (view.dtype != QN_DTYPE_F32 || qn_view_elems(&view) != 1)
        return QN_ERROR(QN_INVALID_ARGUMENT, "input %u is no f32", i);
    *out = *(const float *)view.data;
    return NULL;
}

static qn_status take_operands(struct nms *n)
{
    const struct qn_host_call *c = n->call;
    struct qn_view boxes, scores;
    QN_TRY(qn_host_tensor(c, 0, &boxes));
    QN_TRY(qn_host_tensor(c, 1, &scores));
    if (boxes.dtype != QN_DTYPE_F32 || scores.dtype != QN_DTYPE_F32 || boxes.rank != 3 || scores.rank != 3 ||
        boxes.dims[2] != 4 || boxes.dims[0] != scores.dims[0] || boxes.dims[1] != scores.dims[2] ||
        boxes.dims[1] > INT32_MAX)
        return QN_ERROR(QN_INVALID_ARGUMENT, "expected boxes f32 [b, n, 4] and scores f32 [b, c, n]");
    n->batches = boxes.dims[0];
    n->boxes = boxes.dims[1];
    n->classes = scores.dims[1];
    n->corners = boxes.data;
    n->scores = scores.data;
    n->center = ((const struct qn_attr_nms *)c->attr)->center;
    if (qn_host_has(c, 2))
        QN_TRY(qn_host_integer(c, 2, &n->most));
    QN_TRY(take_number(c, 3, &n->iou));
    n->has_score = qn_host_has(c, 4);
    return take_number(c, 4, &n->least_score);
}

static qn_status select_all(struct nms *n)
{
    uint64_t boxes = (uint64_t)n->boxes + 1;
    char *memory = qn_store_take(n->call->store, boxes * (sizeof(struct box) + 2 * sizeof(struct candidate)) +
                                                     (boxes / LANES + 2) * sizeof(struct boxes));
    if (!memory)
        return QN_OOM();
    n->kept = (void *)(((uintptr_t)memory + sizeof(floats) - 1) / sizeof(floats) * sizeof(floats));
    n->box = (void *)(n->kept + boxes / LANES + 1);
    n->order = (void *)(n->box + boxes);
    n->spare = n->order + boxes;
    qn_status status = NULL;
    for (int64_t batch = 0; batch < n->batches && !status; batch++) {
        read_boxes(n, batch);
        for (int64_t class_ = 0; class_ < n->classes && !status; class_++)
            status = select_class(n, batch, class_);
    }
    qn_store_give(n->call->store, memory);
    return status;
}

qn_status qn_host_nms(const struct qn_host_call *c)
{
    struct nms n = {.call = c};
    QN_TRY(take_operands(&n));
    qn_status status = n.most > 0 ? select_all(&n) : NULL;
    int64_t dims[2] = {n.count, 3};
    if (!status)
        status = qn_object_tensor(c->store, QN_DTYPE_I64, 2, dims, &c->out[0]);
    if (!status && n.count)
        memcpy(c->out[0]->tensor.data, n.found, (size_t)n.count * 3 * sizeof *n.found);
    qn_store_give(c->store, n.found);
    return status;
}

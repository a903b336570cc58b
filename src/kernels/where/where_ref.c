#include "kernels/walk.h"
#include "kernels/where/where.h"

struct pair { /* 16 bytes: a string, a complex number */
    uint64_t first, second;
};

static int64_t tiles(const void *params)
{
    return qn_view_tiles(&((const struct qn_where_params *)params)->y);
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const struct qn_where_params *p = params;
    int64_t first = begin * QN_ELEMENT_TILE, all = qn_view_elems(&p->y), left = end * QN_ELEMENT_TILE;
    left = (left < all ? left : all) - first;
    struct qn_walk walk;
    qn_walk_start(&walk, (const struct qn_view *[]){&p->y, &p->a, &p->b, &p->condition}, 4, first);
    int64_t bytes = qn_element_bytes(p->y.dtype), n;
    int64_t y_step = qn_walk_step(&walk, 0), a_step = qn_walk_step(&walk, 1);
    int64_t b_step = qn_walk_step(&walk, 2), c_step = qn_walk_step(&walk, 3);
    for (; left > 0; left -= n) {
        n = qn_walk_run(&walk, left);
        char *y = walk.at[0], *a = walk.at[1], *b = walk.at[2], *c = walk.at[3];
#define PLAIN(size, type)                                                                     \
    if (bytes == size && y_step == size && a_step == size && b_step == size && c_step == 1) { \
        const type *from_a = (const void *)a, *from_b = (const void *)b;                      \
        type *to = (void *)y;                                                                 \
        for (int64_t i = 0; i < n; i++)                                                       \
            to[i] = c[i] ? from_a[i] : from_b[i];                                             \
        qn_walk_advance(&walk, n);                                                            \
        continue;                                                                             \
    }
        PLAIN(4, uint32_t)
        PLAIN(8, uint64_t)
#define SELECT(size, type)                                                                  \
    case size:                                                                              \
        for (int64_t i = 0; i < n; i++, y += y_step, a += a_step, b += b_step, c += c_step) \
            *(type *)y = *c ? *(type *)a : *(type *)b;                                      \
        break;
        switch (bytes) {
            SELECT(1, uint8_t)
            SELECT(2, uint16_t)
            SELECT(4, uint32_t)
            SELECT(8, uint64_t)
            SELECT(16, struct pair)
        default:
            break;
        }
        qn_walk_advance(&walk, n);
    }
}

const struct qn_kernel qn_where_ref = {
    .serial = 900,
    .name = "where_ref",
    .family = QN_FAMILY_WHERE,
    .tiles = tiles,
    .run = run,
};

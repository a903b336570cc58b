/* Binding of the elementwise ops with a record, of moves by index, padding, running sums, positions of extremes, random
 * numbers and chains. Rows in cpu_backend.c. */
#ifndef QN_BACKEND_CPU_BIND_MOVES_H
#define QN_BACKEND_CPU_BIND_MOVES_H

#include "backend/backend.h"

void qn_bind_is_inf(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_pad(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_reverse(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_gather_elements(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_gather_nd(const struct qn_bind *b, int64_t call, struct qn_params *params);
/* Two calls: the copy of what is scattered into, then the updates. */
int64_t qn_scatter_calls(const struct qn_bind *b);
void qn_bind_scatter(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_cumulate(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_arg(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_random(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_chain(const struct qn_bind *b, int64_t call, struct qn_params *params);

#endif

/* Binding of recurrent ops, Fourier transforms, determinants and trees. Rows in cpu_backend.c. */
#ifndef QN_BACKEND_CPU_BIND_RECURRENT_H
#define QN_BACKEND_CPU_BIND_RECURRENT_H

#include "backend/backend.h"

void qn_bind_recurrent(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_state_space(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_fft(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_det(const struct qn_bind *b, int64_t call, struct qn_params *params);
void qn_bind_trees(const struct qn_bind *b, int64_t call, struct qn_params *params);

#endif

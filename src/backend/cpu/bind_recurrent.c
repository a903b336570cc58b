/* Binding of recurrent ops, Fourier transforms, determinants and trees. */
#include "backend/cpu/bind.h"
#include "kernels/recurrent/recurrent.h"
#include "kernels/signal/signal.h"
#include "kernels/state_space/state_space.h"
#include "kernels/trees/trees.h"
#include "kernels/walk.h"

void qn_bind_recurrent(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_rnn *attr = b->attr;
    const struct qn_view *x = &b->in[0], *w = &b->in[1];
    struct qn_recurrent_params *p = QN_PARAMS(qn_recurrent_params, params);
    p->gates = (int32_t)(w->dims[1] / attr->hidden);
    p->dtype = x->dtype;
    p->time = x->dims[0];
    p->batch = x->dims[1];
    p->inputs = x->dims[2];
    p->hidden = attr->hidden;
    p->directions = w->dims[0];
    p->reverse = attr->direction == 1;
    p->input_forget = attr->input_forget;
    p->linear_before_reset = attr->linear_before_reset;
    p->clip = attr->clip;
    for (uint32_t i = 0; i < attr->activations.count && i < 6; i++) {
        p->activation[i] = (int32_t)attr->activations.items[i];
        p->alpha[i] = attr->alpha.items[i];
        p->beta[i] = attr->beta.items[i];
    }
    p->x = x->data;
    p->w = w->data;
    p->r = b->in[2].data;
    p->bias = qn_bind_data(b, 3);
    p->lengths = qn_bind_data(b, 4);
    p->h0 = qn_bind_data(b, 5);
    p->c0 = qn_bind_data(b, 6);
    p->peeps = qn_bind_data(b, 7);
    p->y = b->out[0].data;
    p->h = b->out[1].data;
    p->c = b->out_count > 2 ? b->out[2].data : NULL;
}

void qn_bind_state_space(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_view *state = &b->in[0], *x = &b->in[1];
    struct qn_state_space_params *p = QN_PARAMS(qn_state_space_params, params);
    p->scan = b->op == QN_OP_selective_scan;
    p->tokens = x->dims[0];
    p->sequences = state->dims[0];
    p->channels = x->dims[1];
    p->width = p->scan ? state->dims[2] : state->dims[1] + 1;
    p->state = b->out[0].data;
    p->y = b->out[1].data;
    p->x = x->data;
    uint32_t rest = p->scan ? 6 : 3;
    if (p->scan) {
        p->dt = b->in[2].data;
        p->a = b->in[3].data;
        p->b = b->in[4].data;
        p->c = b->in[5].data;
    } else {
        p->w = b->in[2].data;
    }
    p->seq = b->in[rest].data;
    p->pos = b->in[rest + 1].data;
    p->fault = b->fault;
}

void qn_bind_fft(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_fft *attr = b->attr;
    const struct qn_view *x = &b->in[0], *y = &b->out[0];
    struct qn_signal_params *p = QN_PARAMS(qn_signal_params, params);
    uint32_t axis = qn_bind_axis(attr->axis, x->rank);
    p->dtype = x->dtype;
    p->x = x->data;
    p->y = y->data;
    p->outer = p->inner = 1;
    for (uint32_t i = 0; i + 1 < x->rank; i++)
        *(i < axis ? &p->outer : &p->inner) *= i == axis ? 1 : x->dims[i];
    p->length = attr->length;
    p->x_size = x->dims[axis];
    p->y_size = y->dims[axis];
    p->x_components = (int32_t)x->dims[x->rank - 1];
    p->y_components = (int32_t)y->dims[y->rank - 1];
    p->inverse = attr->inverse;
    p->half_given = attr->inverse && attr->onesided;
}

void qn_bind_det(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    struct qn_signal_params *p = QN_PARAMS(qn_signal_params, params);
    p->det = 1;
    p->dtype = b->in[0].dtype;
    p->x = b->in[0].data;
    p->y = b->out[0].data;
    p->n = b->in[0].dims[b->in[0].rank - 1];
    p->outer = qn_view_elems(&b->out[0]);
}

void qn_bind_trees(const struct qn_bind *b, int64_t call, struct qn_params *params)
{
    (void)call;
    const struct qn_attr_trees *attr = b->attr;
    struct qn_trees_params *p = QN_PARAMS(qn_trees_params, params);
    p->dtype = b->in[0].dtype;
    p->x = b->in[0].data;
    p->y = b->out[0].data;
    p->rows = b->in[0].dims[0];
    p->features = b->in[0].dims[1];
    p->targets = attr->targets;
    p->nodes = b->in[1].dims[0];
    p->node = b->in[1].data;
    p->threshold = b->in[2].data;
    p->trees = b->in[3].dims[0];
    p->root = b->in[3].data;
    p->votes = b->in[4].dims[0];
    p->target = b->in[4].data;
    p->weight = b->in[5].data;
    p->members = b->in[6].dims[0];
    p->member = b->in[6].data;
    p->base = b->in[7].data;
    p->aggregate = (int32_t)attr->aggregate;
}

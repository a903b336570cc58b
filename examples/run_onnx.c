/* Runs a model on tensors: random inputs in, shapes and a few numbers out.
 *
 *     run_onnx model.onnx
 *
 * Shows slots, binding of inputs and outputs, and reading results.
 */
#include <stdio.h>
#include <stdlib.h>

#include <quern/data.h>
#include <quern/model.h>
#include <quern/session.h>

static int fail(qn_status status)
{
    fprintf(stderr, "error: %s\n", qn_status_message(status));
    qn_status_free(status);
    return 1;
}

static qn_status bind_inputs(struct qn_session *session, struct qn_run *run, struct qn_data *inputs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct qn_slot_info slot = {.struct_size = sizeof slot};
        qn_status status = qn_session_slot(session, QN_SLOT_INPUT, i, &slot);
        if (!status)
            status = qn_data_random(&slot, NULL, 0, i, NULL, &inputs[i]);
        if (!status)
            status = qn_run_bind_input(run, i, &inputs[i]);
        if (status)
            return status;
    }
    return NULL;
}

static qn_status print_outputs(struct qn_session *session, struct qn_run *run)
{
    for (uint32_t i = 0; i < qn_session_slot_count(session, QN_SLOT_OUTPUT); i++) {
        struct qn_slot_info slot = {.struct_size = sizeof slot};
        struct qn_data data;
        qn_status status = qn_session_slot(session, QN_SLOT_OUTPUT, i, &slot);
        if (!status)
            status = qn_run_output(run, i, &data);
        if (status)
            return status;
        printf("%s: %s [", slot.name, data.kind == QN_DATA_TENSOR ? qn_dtype_name(data.tensor.dtype) : "no tensor");
        for (uint32_t k = 0; k < data.tensor.rank; k++)
            printf("%s%lld", k ? ", " : "", (long long)data.tensor.dims[k]);
        printf("]");
        if (data.kind == QN_DATA_TENSOR && data.tensor.dtype == QN_DTYPE_F32 && data.tensor.data)
            printf(" %g ...", (double)*(const float *)data.tensor.data);
        printf("\n");
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct qn_model *model = NULL;
    struct qn_session *session = NULL;
    struct qn_run *run = NULL;
    if (argc != 2) {
        fprintf(stderr, "run_onnx MODEL.onnx\n");
        return 2;
    }
    qn_status status = qn_model_open(argv[1], NULL, &model);
    if (!status)
        status = qn_session_create(model, NULL, &session);
    if (!status)
        status = qn_run_create(session, &run);
    uint32_t count = status ? 0 : qn_session_slot_count(session, QN_SLOT_INPUT);
    struct qn_data *inputs = calloc(count + 1, sizeof *inputs);
    if (!status && inputs)
        status = bind_inputs(session, run, inputs, count);
    if (!status)
        status = qn_run_execute(run);
    if (!status)
        status = print_outputs(session, run);
    qn_run_destroy(run);
    for (uint32_t i = 0; inputs && i < count; i++)
        qn_data_free(&inputs[i], NULL);
    free(inputs);
    qn_session_destroy(session);
    qn_model_close(model);
    return status ? fail(status) : 0;
}

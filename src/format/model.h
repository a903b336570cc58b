/* What the layers above may reach behind a public qn_model. */
#ifndef QN_FORMAT_MODEL_H
#define QN_FORMAT_MODEL_H

#include "quern/model.h"

struct qn_gguf;

/* The GGUF file behind a model, NULL when it is of another format. The model owns it. */
struct qn_gguf *qn_model_gguf(const struct qn_model *model);
struct qn_onnx_file;
/* The ONNX file behind a model (format/onnx/onnx_file.h), NULL for another format. The model owns it. */
struct qn_onnx_file *qn_model_onnx(const struct qn_model *model);
/* The Hugging Face folder that a model was opened from, with a slash at its end; NULL for a file. The model owns it. */
const char *qn_model_folder(const struct qn_model *model);
/* Whether the model was quantised for activations in floats: kernels that round them are not what it was tuned for. */
bool qn_model_float_activations(const struct qn_model *model);

#endif

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

#endif

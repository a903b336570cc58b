/* Protobuf messages written field by field, and copied field by field from an encoded one.
 *
 * A buffer that runs out of memory remembers it (qn_strbuf.failed); look once at the end.
 */
#ifndef QN_FORMAT_ONNX_PROTOBUF_WRITE_H
#define QN_FORMAT_ONNX_PROTOBUF_WRITE_H

#include "base/str.h"

void qn_pb_put_uint(struct qn_strbuf *out, uint32_t number, uint64_t value);
/* Tag and length of a text, of bytes or of a message, which are to follow. */
void qn_pb_put_head(struct qn_strbuf *out, uint32_t number, uint64_t size);
void qn_pb_put_text(struct qn_strbuf *out, uint32_t number, struct qn_str text);
void qn_pb_put_message(struct qn_strbuf *out, uint32_t number, const struct qn_strbuf *message);

#endif

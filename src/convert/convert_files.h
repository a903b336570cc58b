/* What all ways of converting do with files. */
#ifndef QN_CONVERT_FILES_H
#define QN_CONVERT_FILES_H

#include "base/status.h"
#include "base/str.h"
#include "quern/model.h"

/* Lets go of the pages of the model's files that were read; they come back should somebody else want them. */
void qn_convert_drop_pages(const struct qn_model *model);
/* Writes a whole file of a folder, aside first. */
qn_status qn_convert_write_text(const char *folder, const char *name, struct qn_str text,
                                const struct qn_allocator *allocator) QN_MUST_USE;

#endif

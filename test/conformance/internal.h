/* Between the files of the suite. */
#ifndef QN_CONFORMANCE_INTERNAL_H
#define QN_CONFORMANCE_INTERNAL_H

#include "conformance/conformance.h"

/* Every byte outside the view's elements is still a guard byte. */
bool cf_only_view_written(const struct cf_tensor *tensor);

/* Floats and blocks times 1.01; of integers and bools one element changes. */
void cf_falsify(const struct qn_view *view);

#endif

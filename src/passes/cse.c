/* Copies what is alive. The builder gives equal nodes and constants one value, and what is equal because of that, too.
 * */
#include "passes/pass.h"
#include "passes/rewrite.h"

qn_status qn_pass_cse(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, NULL);
}

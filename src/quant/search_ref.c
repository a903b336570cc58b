#define NAME qn_search_ref
#define TEXT "ref"
#define NEEDS 0
#include "quant/search_lanes.h"

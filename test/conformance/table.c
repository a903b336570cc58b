/* The table op x type x ISA. */
#include <stdio.h>
#include <string.h>

#include "conformance/conformance.h"
#include "platform/cpu.h"

static const struct column {
    const char *name;
    uint32_t features; /* all that a kernel of this column may need */
} columns[] = {
    {"reference", 0},
#if defined(__x86_64__)
    {"avx2", QN_CPU_AVX2},
    {"avxvnni", QN_CPU_AVX2 | QN_CPU_AVXVNNI},
    {"avx512", QN_CPU_AVX2 | QN_CPU_AVX512},
    {"vnni", QN_CPU_AVX2 | QN_CPU_AVX512 | QN_CPU_AVX512VNNI},
    {"vbmi", QN_CPU_AVX2 | QN_CPU_AVX512 | QN_CPU_AVX512VNNI | QN_CPU_AVX512VBMI},
    {"bf16", QN_CPU_AVX2 | QN_CPU_AVX512 | QN_CPU_AVX512VNNI | QN_CPU_AVX512BF16},
    {"fp16", QN_CPU_AVX2 | QN_CPU_AVX512 | QN_CPU_AVX512VNNI | QN_CPU_AVX512FP16},
#elif defined(__aarch64__)
    {"neon", QN_CPU_NEON},
    {"dotprod", QN_CPU_NEON | QN_CPU_NEON_DOTPROD},
#endif
};
enum { COLUMNS = sizeof columns / sizeof columns[0], ROWS = 1000 };

static struct row {
    char op[32];
    qn_dtype dtype;
    enum qn_family family;
    int64_t cases[COLUMNS];
} rows[ROWS];
static int row_count;

/* The first column that has all a kernel needs. */
static int column_of(uint32_t needs)
{
    for (int i = 0; i < COLUMNS; i++)
        if ((needs & ~columns[i].features) == 0)
            return i;
    return COLUMNS - 1;
}

void cf_ran(const struct cf *cf, const char *op, qn_dtype dtype)
{
    int i = 0;
    while (i < row_count && (strcmp(rows[i].op, op) != 0 || rows[i].dtype != dtype))
        i++;
    if (i == ROWS)
        return;
    if (i == row_count) {
        snprintf(rows[i].op, sizeof rows[i].op, "%s", op);
        rows[i].dtype = dtype;
        rows[i].family = cf->kernel->family;
        row_count++;
    }
    rows[i].cases[column_of(cf->kernel->needs)]++;
}

void cf_print_table(uint32_t features)
{
    printf("\nop x type x ISA: number of cases run\n");
    printf("  --  no kernel of its own there: the selection falls to the nearest column on the left that has one\n");
    printf("  no  this machine lacks it\n\n%-22s %-8s", "op", "type");
    for (int c = 0; c < COLUMNS; c++)
        printf(" %9s", columns[c].name);
    printf("\n");
    for (int i = 0; i < row_count; i++) {
        printf("%-22s %-8s", rows[i].op, qn_dtype_name(rows[i].dtype));
        for (int c = 0; c < COLUMNS; c++) {
            if (rows[i].cases[c])
                printf(" %9lld", (long long)rows[i].cases[c]);
            else
                printf(" %9s", columns[c].features & ~features ? "no" : "--");
        }
        printf("\n");
    }
}

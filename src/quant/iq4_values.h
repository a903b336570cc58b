/* The sixteen levels of IQ4_NL and IQ4_XS, denser near zero. */
#ifndef QN_QUANT_IQ4_VALUES_H
#define QN_QUANT_IQ4_VALUES_H

#define QN_IQ4_VALUES -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113

#endif

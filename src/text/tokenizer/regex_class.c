#include "text/tokenizer/regex_class.h"

#include <ctype.h>

#include "base/utf8.h"

/* White space of Unicode. PCRE2's \s would lack U+0085 in some versions and add U+180E in others. */
#define SPACE \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define PUNCT "\\p{P}\\x{24}\\x{2b}\\x{3c}-\\x{3e}\\x{5e}\\x{60}\\x{7c}\\x{7e}"
#define HEX "0-9A-Fa-f"

qn_status qn_regex_fail(const struct qn_regex_reader *reader, const char *what)
{
    return QN_ERROR(QN_INVALID_ARGUMENT, "pattern '%.*s': %s at byte %zu", QN_STR_ARG(reader->pattern), what,
                    reader->at);
}

void qn_regex_write_char(struct qn_strbuf *out, uint32_t c)
{
    if (c < 0x80 && isalnum((int)c))
        qn_strbuf_printf(out, "%c", (char)c);
    else
        qn_strbuf_printf(out, "\\x{%x}", c);
}

const char *qn_regex_shorthand(char letter)
{
    switch (letter) {
    case 'd':
        return "\\p{Nd}";
    case 's':
        return SPACE;
    case 'w':
        return WORD;
    case 'W':
        return WORD "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}";
    case 'h':
        return HEX;
    default:
        return NULL;
    }
}

/* ---- characters ----------------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Up to `most` digits in base 8 or 16; the number of digits read. */
static size_t read_digits(struct qn_regex_reader *r, int base, size_t most, uint32_t *value)
{
    size_t count = 0;
    *value = 0;
    while (count < most && r->at < r->pattern.size) {
        int digit = hex_value(r->pattern.data[r->at]);
        if (digit < 0 || digit >= base)
            break;
        *value = *value * (uint32_t)base + (uint32_t)digit;
        r->at++;
        count++;
    }
    return count;
}

/* After \x or \u. */
static qn_status read_hex(struct qn_regex_reader *r, size_t digits, uint32_t *c)
{
    bool braced = qn_regex_at(r, "{");
    r->at += braced;
    size_t read = read_digits(r, 16, braced ? 6 : digits, c);
    if (read == 0 || (braced && !qn_regex_at(r, "}")) || (!braced && digits == 4 && read != 4))
        return qn_regex_fail(r, "malformed hexadecimal escape");
    r->at += braced;
    if (*c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000))
        return qn_regex_fail(r, "escape is not a code point");
    return NULL;
}

static qn_status read_escape(struct qn_regex_reader *r, bool inside, uint32_t *c)
{
    if (r->at + 1 >= r->pattern.size)
        return qn_regex_fail(r, "backslash at the end");
    char letter = r->pattern.data[++r->at];
    static const char names[] = "tnrfvae", values[] = "\t\n\r\f\v\a\x1b";
    const char *named = strchr(names, letter);
    if (letter && named) {
        *c = (uint8_t)values[named - names];
        r->at++;
        return NULL;
    }
    if (letter == 'x' || letter == 'u') {
        r->at++;
        return read_hex(r, letter == 'x' ? 2 : 4, c);
    }
    if (letter == '0' || (inside && letter >= '1' && letter <= '7')) {
        read_digits(r, 8, 3, c);
        *c &= 0xff;
        return NULL;
    }
    if (letter == 'b' && inside) {
        *c = 8;
        r->at++;
        return NULL;
    }
    size_t length = qn_utf8_decode(r->pattern.data + r->at, r->pattern.size - r->at, c);
    if (!length)
        return qn_regex_fail(r, "pattern is not UTF-8");
    r->at += length;
    return NULL;
}

qn_status qn_regex_read_char(struct qn_regex_reader *r, bool inside, uint32_t *c)
{
    if (r->pattern.data[r->at] == '\\')
        return read_escape(r, inside, c);
    size_t length = qn_utf8_decode(r->pattern.data + r->at, r->pattern.size - r->at, c);
    if (!length)
        return qn_regex_fail(r, "pattern is not UTF-8");
    r->at += length;
    return NULL;
}

/* ---- properties ----------------------------------------------------------------------------------------------- */

/* Names that PCRE2 lacks or reads otherwise; letters and digits only, lower case. */
static const struct {
    const char *name, *members;
} property_names[] = {
    {"word", WORD},
    {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"alpha", "\\p{Alphabetic}"},
    {"digit", "\\p{Nd}"},
    {"space", SPACE},
    {"whitespace", SPACE},
    {"blank", "\\p{Zs}\\x{9}"},
    {"punct", PUNCT},
    {"upper", "\\p{Uppercase}"},
    {"lower", "\\p{Lowercase}"},
    {"xdigit", HEX},
    {"cntrl", "\\p{Cc}"},
    {"ascii", "\\x{0}-\\x{7f}"},
    {"any", "\\x{0}-\\x{10ffff}"},
    {"graph", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}"},
    {"print", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}\\p{Zs}"},
    {"letter", "\\p{L}"},
    {"uppercaseletter", "\\p{Lu}"},
    {"lowercaseletter", "\\p{Ll}"},
    {"titlecaseletter", "\\p{Lt}"},
    {"casedletter", "\\p{Lu}\\p{Ll}\\p{Lt}"},
    {"lc", "\\p{Lu}\\p{Ll}\\p{Lt}"},
    {"modifierletter", "\\p{Lm}"},
    {"otherletter", "\\p{Lo}"},
    {"mark", "\\p{M}"},
    {"combiningmark", "\\p{M}"},
    {"nonspacingmark", "\\p{Mn}"},
    {"spacingmark", "\\p{Mc}"},
    {"enclosingmark", "\\p{Me}"},
    {"number", "\\p{N}"},
    {"decimalnumber", "\\p{Nd}"},
    {"letternumber", "\\p{Nl}"},
    {"othernumber", "\\p{No}"},
    {"punctuation", "\\p{P}"},
    {"connectorpunctuation", "\\p{Pc}"},
    {"dashpunctuation", "\\p{Pd}"},
    {"openpunctuation", "\\p{Ps}"},
    {"closepunctuation", "\\p{Pe}"},
    {"initialpunctuation", "\\p{Pi}"},
    {"finalpunctuation", "\\p{Pf}"},
    {"otherpunctuation", "\\p{Po}"},
    {"symbol", "\\p{S}"},
    {"mathsymbol", "\\p{Sm}"},
    {"currencysymbol", "\\p{Sc}"},
    {"modifiersymbol", "\\p{Sk}"},
    {"othersymbol", "\\p{So}"},
    {"separator", "\\p{Z}"},
    {"spaceseparator", "\\p{Zs}"},
    {"lineseparator", "\\p{Zl}"},
    {"paragraphseparator", "\\p{Zp}"},
    {"other", "\\p{C}"},
    {"control", "\\p{Cc}"},
    {"format", "\\p{Cf}"},
    {"privateuse", "\\p{Co}"},
    {"unassigned", "\\p{Cn}"},
    {"surrogate", "\\p{Cs}"},
};

/* Yes-or-no properties: any other longer name is a script. */
static const char *const binary_names[] = {
    "alphabetic",
    "asciihexdigit",
    "bidicontrol",
    "bidimirrored",
    "caseignorable",
    "cased",
    "changeswhencasefolded",
    "changeswhencasemapped",
    "changeswhenlowercased",
    "changeswhentitlecased",
    "changeswhenuppercased",
    "dash",
    "defaultignorablecodepoint",
    "deprecated",
    "diacritic",
    "emoji",
    "emojicomponent",
    "emojimodifier",
    "emojimodifierbase",
    "emojipresentation",
    "extendedpictographic",
    "extender",
    "graphemebase",
    "graphemeextend",
    "hexdigit",
    "idcontinue",
    "ideographic",
    "idstart",
    "joincontrol",
    "logicalorderexception",
    "lowercase",
    "math",
    "noncharactercodepoint",
    "patternsyntax",
    "patternwhitespace",
    "quotationmark",
    "radical",
    "regionalindicator",
    "sentenceterminal",
    "softdotted",
    "terminalpunctuation",
    "unifiedideograph",
    "uppercase",
    "variationselector",
    "xidcontinue",
    "xidstart",
};

static bool is_script(struct qn_str name)
{
    for (size_t i = 0; i < sizeof binary_names / sizeof binary_names[0]; i++)
        if (qn_str_is(name, binary_names[i]))
            return false;
    return name.size > 2;
}

static const char *property_members(struct qn_str name)
{
    for (size_t i = 0; i < sizeof property_names / sizeof property_names[0]; i++)
        if (qn_str_is(name, property_names[i].name))
            return property_names[i].members;
    return NULL;
}

/* Lower case, without spaces, hyphens and underscores, without "Script=" and the like. */
static struct qn_str normal_name(struct qn_str given, char buffer[64])
{
    size_t size = 0;
    for (size_t i = 0; i < given.size && size < 63; i++) {
        char c = given.data[i];
        if (c == '=' || c == ':')
            size = 0;
        else if (isalnum((unsigned char)c) || c == '&')
            buffer[size++] = (char)tolower((unsigned char)c);
    }
    buffer[size] = 0;
    return (struct qn_str){buffer, size};
}

qn_status qn_regex_read_property(struct qn_regex_reader *r, char letter, struct qn_strbuf *members, bool *negated)
{
    struct qn_str name = {r->pattern.data + r->at, 1};
    *negated = letter == 'P';
    if (qn_regex_at(r, "{")) {
        const char *close = memchr(name.data, '}', r->pattern.size - r->at);
        if (!close || close - name.data > 60)
            return qn_regex_fail(r, "property without '}'");
        name = (struct qn_str){name.data + 1, (size_t)(close - name.data) - 1};
        r->at += name.size + 2;
        if (name.size && name.data[0] == '^') {
            *negated = !*negated;
            name.data++;
            name.size--;
        }
    } else if (r->at < r->pattern.size) {
        r->at++;
    } else {
        return qn_regex_fail(r, "property without a name");
    }
    char buffer[64];
    struct qn_str normal = normal_name(name, buffer);
    const char *known = property_members(normal);
    if (known)
        qn_strbuf_add(members, known);
    else if (normal.size) /* PCRE2 refuses names that it does not know; \p{Han} alone would be Script_Extensions */
        qn_strbuf_printf(members, is_script(normal) ? "\\p{sc:%s}" : "\\p{%s}", buffer);
    else
        return qn_regex_fail(r, "property without a name");
    return NULL;
}

/* ---- bracketed classes ---------------------------------------------------------------------------------------- */

/* The union that is being read: plain members, and alternatives that PCRE2 cannot write inside brackets. */
struct class_union {
    struct qn_strbuf members, others;
};

static void union_init(struct class_union *u, const struct qn_allocator *allocator)
{
    qn_strbuf_init(&u->members, allocator);
    qn_strbuf_init(&u->others, allocator);
}

static void union_deinit(struct class_union *u)
{
    qn_strbuf_deinit(&u->members);
    qn_strbuf_deinit(&u->others);
}

static void add_set(struct class_union *u, const char *members, bool negated)
{
    if (negated)
        qn_strbuf_printf(&u->others, "|[^%s]", members);
    else
        qn_strbuf_add(&u->members, members);
}

/* "[:alpha:]" at the reader's place; *found false when it is something else. */
static qn_status read_posix(struct qn_regex_reader *r, struct class_union *u, bool *found)
{
    *found = false;
    size_t at = r->at + 2;
    bool negated = at < r->pattern.size && r->pattern.data[at] == '^';
    at += negated;
    size_t start = at;
    while (at < r->pattern.size && isalpha((unsigned char)r->pattern.data[at]))
        at++;
    if (at + 1 >= r->pattern.size || r->pattern.data[at] != ':' || r->pattern.data[at + 1] != ']')
        return NULL;
    const char *members = property_members((struct qn_str){r->pattern.data + start, at - start});
    if (!members)
        return qn_regex_fail(r, "unknown POSIX class");
    add_set(u, members, negated);
    r->at = at + 2;
    *found = true;
    return NULL;
}

/* \d \s \w \h \p and their complements; *found false for an escape that stands for one character. */
static qn_status read_set_escape(struct qn_regex_reader *r, struct class_union *u, bool *found)
{
    *found = false;
    if (r->pattern.data[r->at] != '\\' || r->at + 1 >= r->pattern.size)
        return NULL;
    char letter = r->pattern.data[r->at + 1];
    const char *members = qn_regex_shorthand((char)tolower((unsigned char)letter));
    if (members) {
        add_set(u, members, isupper((unsigned char)letter));
    } else if (letter == 'p' || letter == 'P') {
        struct qn_strbuf property;
        bool negated = false;
        qn_strbuf_init(&property, u->members.allocator);
        r->at += 2;
        qn_status status = qn_regex_read_property(r, letter, &property, &negated);
        if (!status && property.failed)
            status = QN_OOM();
        if (!status)
            add_set(u, property.data, negated);
        qn_strbuf_deinit(&property);
        *found = true;
        return status;
    } else {
        return NULL;
    }
    r->at += 2;
    *found = true;
    return NULL;
}

/* A character or a range. */
static qn_status read_range(struct qn_regex_reader *r, struct class_union *u)
{
    uint32_t first, last;
    QN_TRY(qn_regex_read_char(r, true, &first));
    qn_regex_write_char(&u->members, first);
    if (!qn_regex_at(r, "-") || r->at + 1 >= r->pattern.size)
        return NULL;
    char next = r->pattern.data[r->at + 1];
    bool set = next == '\\' && r->at + 2 < r->pattern.size && strchr("dDsSwWhHpP", r->pattern.data[r->at + 2]);
    if (next == ']' || next == '[' || set || qn_regex_at(r, "-&&"))
        return NULL; /* the hyphen stands for itself */
    r->at++;
    QN_TRY(qn_regex_read_char(r, true, &last));
    if (last < first)
        return qn_regex_fail(r, "range out of order");
    qn_strbuf_add(&u->members, "-");
    qn_regex_write_char(&u->members, last);
    return NULL;
}

/* Members up to "&&" or the closing bracket, which stay unread. */
static qn_status read_union(struct qn_regex_reader *r, bool first, struct class_union *u)
{
    for (;; first = false) {
        if (r->at >= r->pattern.size)
            return qn_regex_fail(r, "class without ']'");
        if (qn_regex_at(r, "&&") || (qn_regex_at(r, "]") && !first))
            return NULL;
        bool found = false;
        if (qn_regex_at(r, "[:"))
            QN_TRY(read_posix(r, u, &found));
        if (!found)
            QN_TRY(read_set_escape(r, u, &found));
        if (found)
            continue;
        if (qn_regex_at(r, "[")) {
            qn_strbuf_add(&u->others, "|");
            QN_TRY(qn_regex_class(r, &u->others));
        } else {
            QN_TRY(read_range(r, u));
        }
    }
}

static void write_union(const struct class_union *u, bool negated, struct qn_strbuf *out)
{
    if (u->members.size && !u->others.size) {
        qn_strbuf_printf(out, negated ? "[^%s]" : "[%s]", u->members.data);
        return;
    }
    qn_strbuf_add(out, negated ? "(?:(?!" : "(?:");
    if (u->members.size)
        qn_strbuf_printf(out, "[%s]", u->members.data);
    else if (!u->others.size)
        qn_strbuf_add(out, "(*FAIL)"); /* an empty side of && */
    if (u->others.size)
        qn_strbuf_add(out, u->others.data + !u->members.size); /* others begin with '|' */
    qn_strbuf_add(out, negated ? ")(?s:.))" : ")");
}

qn_status qn_regex_class(struct qn_regex_reader *r, struct qn_strbuf *out)
{
    if (++r->depth > QN_REGEX_DEPTH_MAX)
        return qn_regex_fail(r, "classes nested too deeply");
    r->at++;
    bool negated = qn_regex_at(r, "^");
    r->at += negated;
    struct class_union u;
    struct qn_strbuf sides; /* of &&, all but the last, as look-aheads */
    union_init(&u, out->allocator);
    qn_strbuf_init(&sides, out->allocator);
    qn_status status = read_union(r, true, &u);
    while (!status && qn_regex_at(r, "&&")) {
        qn_strbuf_add(&sides, "(?=");
        write_union(&u, false, &sides);
        qn_strbuf_add(&sides, ")");
        r->at += 2;
        union_deinit(&u);
        status = read_union(r, false, &u);
    }
    if (!status && (u.members.failed || u.others.failed || sides.failed))
        status = QN_OOM();
    if (!status && !sides.size) {
        write_union(&u, negated, out);
    } else if (!status) {
        qn_strbuf_printf(out, negated ? "(?:(?!%s" : "(?:%s", sides.data);
        write_union(&u, false, out);
        qn_strbuf_add(out, negated ? ")(?s:.))" : ")");
    }
    union_deinit(&u);
    qn_strbuf_deinit(&sides);
    r->at++;
    r->depth--;
    return status;
}

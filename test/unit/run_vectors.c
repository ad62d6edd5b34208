/*
 * run_vectors.c
 *		Run test vectors, each line of each file a test.
 *
 * Usage: run_vectors FILE...
 *
 * What a line asks is known by its keys, not by the file's name.  Values are
 * base64 of BSON; other keys are passed over.
 *
 *	pre_bson_b64, diff_bson_b64, post_bson_b64	apply a $v:2 diff
 *	pre, diff, post								the same
 *	pre, modifiers, post						apply $v:1 modifiers
 *	diff, update_description					describe a $v:2 diff
 *	modifiers, update_description				describe $v:1 modifiers
 *
 * A file that begins with the line "id workers owner key", tabs between, holds
 * consistent hashing; see hash_vectors.c.
 *
 * Each failing line is named with what was expected and what came; the last
 * line of the output is "N passed, N failed".  An empty file, one that can't be
 * read and one of no known format count as a failure.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oplog/document_diff.h"
#include "oplog/update_description.h"

#include "vectors.h"

#define MAX_FIELDS 64

typedef struct Field
{
	MtByteBuffer name;
	MtByteBuffer text;			/* unescaped, when it is a string */
	bool		is_string;
} Field;

typedef struct Line
{
	Field		fields[MAX_FIELDS];
	int			n_fields;
} Line;

/* ----- JSON, as far as a line of vectors needs it ----- */

static const char *
skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static const char *
parse_four_hex(const char *p, unsigned *code)
{
	*code = 0;
	for (int i = 0; i < 4; i++)
	{
		int			digit = hex_value(p[i]);

		if (digit < 0)
			return NULL;
		*code = *code * 16 + (unsigned) digit;
	}
	return p + 4;
}

static void
append_utf8(MtByteBuffer *out, unsigned code)
{
	uint8_t		bytes[4];
	int			n = 0;

	if (code < 0x80)
		bytes[n++] = (uint8_t) code;
	else if (code < 0x800)
	{
		bytes[n++] = (uint8_t) (0xC0 | code >> 6);
		bytes[n++] = (uint8_t) (0x80 | (code & 0x3F));
	}
	else if (code < 0x10000)
	{
		bytes[n++] = (uint8_t) (0xE0 | code >> 12);
		bytes[n++] = (uint8_t) (0x80 | (code >> 6 & 0x3F));
		bytes[n++] = (uint8_t) (0x80 | (code & 0x3F));
	}
	else
	{
		bytes[n++] = (uint8_t) (0xF0 | code >> 18);
		bytes[n++] = (uint8_t) (0x80 | (code >> 12 & 0x3F));
		bytes[n++] = (uint8_t) (0x80 | (code >> 6 & 0x3F));
		bytes[n++] = (uint8_t) (0x80 | (code & 0x3F));
	}
	mt_byte_buffer_append(out, bytes, (size_t) n);
}

/* What follows a backslash; NULL when it is no escape. */
static const char *
parse_escape(const char *p, MtByteBuffer *out)
{
	static const char plain[] = "\"\\/bfnrt";
	static const char meaning[] = "\"\\/\b\f\n\r\t";
	const char *known = *p != '\0' ? strchr(plain, *p) : NULL;
	unsigned	code;
	unsigned	low;

	if (known != NULL)
	{
		mt_byte_buffer_append(out, &meaning[known - plain], 1);
		return p + 1;
	}
	if (*p != 'u' || (p = parse_four_hex(p + 1, &code)) == NULL)
		return NULL;
	if (code >= 0xD800 && code < 0xDC00 && p[0] == '\\' && p[1] == 'u')
	{
		const char *after = parse_four_hex(p + 2, &low);

		if (after != NULL && low >= 0xDC00 && low < 0xE000)
		{
			code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
			p = after;
		}
	}
	append_utf8(out, code);
	return p;
}

const char *
vectors_parse_string(const char *p, MtByteBuffer *out)
{
	out->len = 0;
	if (*p++ != '"')
		return NULL;
	while (p != NULL && *p != '"')
	{
		if ((unsigned char) *p < 0x20)
			return NULL;
		if (*p == '\\')
			p = parse_escape(p + 1, out);
		else
			mt_byte_buffer_append(out, p++, 1);
	}
	return p == NULL ? NULL : p + 1;
}

/*
 * Pass over a value that is no string.  Brackets must match and strings must
 * end; the rest is not checked.  No recursion: a line may nest deeply.
 */
static const char *
skip_value(const char *p, MtByteBuffer *scratch)
{
	MtByteBuffer open = {0};
	const char *start = p;

	for (; p != NULL && *p != '\0'; p++)
	{
		if (*p == '{' || *p == '[')
			mt_byte_buffer_append(&open, *p == '{' ? "}" : "]", 1);
		else if (*p == '"')
		{
			p = vectors_parse_string(p, scratch);
			if (p == NULL)
				break;
			p--;
		}
		else if (*p == '}' || *p == ']' || *p == ',')
		{
			if (open.len == 0)
				break;
			if (*p != ',' && open.data[--open.len] != (uint8_t) *p)
			{
				p = NULL;
				break;
			}
		}
	}
	if (p != NULL && (p == start || open.len > 0))
		p = NULL;
	mt_byte_buffer_free(&open);
	return p;
}

/* The line as an object; false when it is none. */
static bool
parse_line(const char *p, Line *line)
{
	MtByteBuffer scratch = {0};

	memset(line, 0, sizeof *line);
	p = skip_space(p);
	if (*p++ != '{')
		return false;
	while (line->n_fields < MAX_FIELDS)
	{
		Field	   *field = &line->fields[line->n_fields++];

		p = vectors_parse_string(skip_space(p), &field->name);
		if (p == NULL)
			break;
		p = skip_space(p);
		if (*p++ != ':')
			break;
		p = skip_space(p);
		field->is_string = *p == '"';
		p = field->is_string ? vectors_parse_string(p, &field->text) : skip_value(p, &scratch);
		if (p == NULL)
			break;
		p = skip_space(p);
		if (*p == '}')
		{
			mt_byte_buffer_free(&scratch);
			return *skip_space(p + 1) == '\0';
		}
		if (*p++ != ',')
			break;
	}
	mt_byte_buffer_free(&scratch);
	return false;
}

static void
free_line(Line *line)
{
	for (int i = 0; i < line->n_fields; i++)
	{
		mt_byte_buffer_free(&line->fields[i].name);
		mt_byte_buffer_free(&line->fields[i].text);
	}
}

/* The field of that name if its value is a string. */
static const Field *
find_field(const Line *line, const char *name)
{
	for (int i = 0; i < line->n_fields; i++)
	{
		const Field *field = &line->fields[i];

		if (field->is_string && field->name.len == strlen(name) &&
			memcmp(field->name.data, name, field->name.len) == 0)
			return field;
	}
	return NULL;
}

/* ----- base64 ----- */

static int
base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decode; false unless it is base64 with its padding. */
static bool
decode_base64(const MtByteBuffer *text, MtByteBuffer *out)
{
	size_t		len = text->len;
	int			padding = 0;

	out->len = 0;
	if (len == 0 || len % 4 != 0)
		return false;
	while (padding < 2 && text->data[len - 1] == '=')
	{
		len--;
		padding++;
	}
	for (size_t i = 0; i < text->len; i += 4)
	{
		uint32_t	bits = 0;
		int			n = i + 4 == text->len ? 3 - padding : 3;
		uint8_t		bytes[3];

		for (size_t j = i; j < i + 4; j++)
		{
			int			value = j < len ? base64_value(text->data[j]) : 0;

			if (value < 0)
				return false;
			bits = bits << 6 | (uint32_t) value;
		}
		bytes[0] = (uint8_t) (bits >> 16);
		bytes[1] = (uint8_t) (bits >> 8);
		bytes[2] = (uint8_t) bits;
		mt_byte_buffer_append(out, bytes, (size_t) n);
	}
	return true;
}

/* ----- the tests ----- */

static MtSlice
slice_of(const MtByteBuffer *buffer)
{
	MtSlice		s = {buffer->data, (uint32_t) buffer->len};

	return s;
}

static MtDiffStatus
apply_diff(MtSlice pre, MtSlice update, MtByteBuffer *out)
{
	return mt_document_diff_apply(pre, update, out);
}

static MtDiffStatus
apply_modifiers(MtSlice pre, MtSlice update, MtByteBuffer *out)
{
	return mt_document_modifiers_apply(pre, update, out);
}

static MtDiffStatus
describe_diff(MtSlice pre, MtSlice update, MtByteBuffer *out)
{
	(void) pre;
	return mt_update_description_from_diff(update, out);
}

static MtDiffStatus
describe_modifiers(MtSlice pre, MtSlice update, MtByteBuffer *out)
{
	(void) pre;
	return mt_update_description_from_modifiers(update, out);
}

typedef struct Format
{
	const char *pre;			/* key, or NULL when there is no pre-image */
	const char *update;
	const char *expected;
	MtDiffStatus (*run) (MtSlice pre, MtSlice update, MtByteBuffer *out);
} Format;

static const Format formats[] = {
	{"pre_bson_b64", "diff_bson_b64", "post_bson_b64", apply_diff},
	{"pre", "diff", "post", apply_diff},
	{"pre", "modifiers", "post", apply_modifiers},
	{NULL, "diff", "update_description", describe_diff},
	{NULL, "modifiers", "update_description", describe_modifiers},
};

static const Format *
find_format(const Line *line)
{
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
		if ((formats[i].pre == NULL || find_field(line, formats[i].pre) != NULL) &&
			find_field(line, formats[i].update) != NULL &&
			find_field(line, formats[i].expected) != NULL)
			return &formats[i];
	return NULL;
}

/*
 * A server before 6.1 sends no disambiguatedPaths: where the expected
 * description has none, it is not compared.
 */
static void
drop_disambiguated_paths(MtByteBuffer *description, MtSlice expected)
{
	static const char name[] = "disambiguatedPaths";
	MtElement	element;
	size_t		start;

	if (mt_bson_find(expected, name, sizeof name - 1, &element) != MT_WALK_END ||
		mt_bson_find(slice_of(description), name, sizeof name - 1, &element) != MT_WALK_ELEMENT)
		return;
	start = (size_t) (mt_element_bytes(&element).data - description->data);
	description->data[start] = 0;	/* it is the last element */
	description->len = start + 1;
	for (int i = 0; i < 4; i++)
		description->data[i] = (uint8_t) (description->len >> 8 * i);
}

static void
print_bytes(const char *what, const MtByteBuffer *bytes)
{
	printf("  %s (%zu bytes) ", what, bytes->len);
	for (size_t i = 0; i < bytes->len && i < 4096; i++)
		printf("%02x", bytes->data[i]);
	printf("\n");
}

/* Run one line; NULL when it passes, else what is wrong. */
static const char *
run_json_line(const char *text, MtByteBuffer *expected, MtByteBuffer *actual)
{
	Line		line;
	const Format *format;
	MtByteBuffer pre = {0};
	MtByteBuffer update = {0};
	const char *problem = NULL;

	expected->len = actual->len = 0;
	if (!parse_line(text, &line))
		problem = "not a JSON object";
	else if ((format = find_format(&line)) == NULL)
		problem = "the line's keys are of no known format";
	else if ((format->pre != NULL && !decode_base64(&find_field(&line, format->pre)->text, &pre)) ||
			 !decode_base64(&find_field(&line, format->update)->text, &update) ||
			 !decode_base64(&find_field(&line, format->expected)->text, expected))
		problem = "not base64";
	else
	{
		MtDiffStatus status = format->run(slice_of(&pre), slice_of(&update), actual);

		if (status != MT_DIFF_OK)
			problem = mt_diff_status_text(status);
		else
		{
			if (format->pre == NULL)
				drop_disambiguated_paths(actual, slice_of(expected));
			if (actual->len != expected->len || memcmp(actual->data, expected->data, actual->len) != 0)
				problem = "the result differs";
		}
	}
	free_line(&line);
	mt_byte_buffer_free(&pre);
	mt_byte_buffer_free(&update);
	return problem;
}

static void
run_json_lines(const char *file_name, const VectorLines *lines, VectorCounts *counts)
{
	MtByteBuffer expected = {0};
	MtByteBuffer actual = {0};

	for (size_t i = 0; i < lines->n; i++)
	{
		const char *problem = run_json_line(lines->text[i], &expected, &actual);

		if (problem == NULL)
		{
			counts->passed++;
			continue;
		}
		counts->failed++;
		printf("%s:%zu: %s\n", file_name, i + 1, problem);
		print_bytes("expected", &expected);
		print_bytes("actual", &actual);
	}
	mt_byte_buffer_free(&expected);
	mt_byte_buffer_free(&actual);
}

/* ----- files ----- */

/* Read a file's lines, without their ends.  False with errno when it can't. */
static bool
read_lines(const char *file_name, VectorLines *lines)
{
	FILE	   *file = fopen(file_name, "r");
	char	   *text = NULL;
	size_t		size = 0;
	ssize_t		len;
	bool		good;

	memset(lines, 0, sizeof *lines);
	if (file == NULL)
		return false;
	errno = 0;
	while ((len = getline(&text, &size, file)) > 0)
	{
		if (text[len - 1] == '\n')
			text[--len] = '\0';
		if (len > 0 && text[len - 1] == '\r')
			text[--len] = '\0';
		if (memchr(text, '\0', (size_t) len) != NULL)
			text[0] = '\0';		/* a NUL byte: no line of any format */
		if (lines->n % 256 == 0)
			lines->text = realloc(lines->text, (lines->n + 256) * sizeof *lines->text);
		lines->text[lines->n++] = strdup(text);
	}
	good = !ferror(file) && feof(file);
	free(text);
	fclose(file);
	return good;
}

static void
free_lines(VectorLines *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		free(lines->text[i]);
	free(lines->text);
}

/* Is the file's first line of any format that is known? */
static bool
is_json_of_known_format(const char *first_line)
{
	Line		line;
	bool		known = parse_line(first_line, &line) && find_format(&line) != NULL;

	free_line(&line);
	return known;
}

static void
run_file(const char *file_name, VectorCounts *counts)
{
	VectorLines lines;

	if (!read_lines(file_name, &lines))
	{
		printf("%s: %s\n", file_name, strerror(errno));
		counts->failed++;
	}
	else if (lines.n == 0)
	{
		printf("%s: empty file\n", file_name);
		counts->failed++;
	}
	else if (hash_vectors_recognize(lines.text[0]))
		hash_vectors_run(file_name, &lines, counts);
	else
	{
		bool		known = false;

		/* A broken first line does not make the file's format unknown. */
		for (size_t i = 0; i < lines.n && !known; i++)
			known = is_json_of_known_format(lines.text[i]);
		if (known)
			run_json_lines(file_name, &lines, counts);
		else
		{
			printf("%s: unknown format\n", file_name);
			counts->failed++;
		}
	}
	free_lines(&lines);
}

int
main(int argc, char **argv)
{
	VectorCounts counts = {0, 0};

	if (argc < 2)
	{
		fprintf(stderr, "usage: run_vectors FILE...\n");
		return 2;
	}
	for (int i = 1; i < argc; i++)
	{
		VectorCounts file = {0, 0};

		run_file(argv[i], &file);
		printf("%s: %d passed, %d failed\n", argv[i], file.passed, file.failed);
		counts.passed += file.passed;
		counts.failed += file.failed;
	}
	printf("%d passed, %d failed\n", counts.passed, counts.failed);
	return counts.failed > 0 ? 1 : 0;
}

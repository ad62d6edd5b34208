/*
 * bson_path.c
 *		Dotted paths: see bson_path.h.
 */
#include "oplog/bson_path.h"

static bool
is_digits(MtSlice s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if (s.data[i] < '0' || s.data[i] > '9')
			return false;
	return s.len > 0;
}

static MtSlice
without_leading_zeros(MtSlice digits)
{
	while (digits.len > 1 && digits.data[0] == '0')
	{
		digits.data++;
		digits.len--;
	}
	return digits;
}

static int
compare_bytes(MtSlice a, MtSlice b)
{
	uint32_t	common = a.len < b.len ? a.len : b.len;
	int			order = common > 0 ? memcmp(a.data, b.data, common) : 0;

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

static int
compare_digits(MtSlice a, MtSlice b)
{
	MtSlice		a_digits = without_leading_zeros(a);
	MtSlice		b_digits = without_leading_zeros(b);
	int			order;

	if (a_digits.len != b_digits.len)
		return a_digits.len < b_digits.len ? -1 : 1;
	order = compare_bytes(a_digits, b_digits);
	return order != 0 ? order : compare_bytes(a, b);
}

MtSlice
mt_path_component(MtSlice path, uint32_t offset)
{
	MtSlice		component;
	const uint8_t *dot;

	component.data = path.data + offset;
	component.len = path.len - offset;
	dot = component.len > 0 ? memchr(component.data, '.', component.len) : NULL;
	if (dot != NULL)
		component.len = (uint32_t) (dot - component.data);
	return component;
}

bool
mt_path_find(MtSlice document, MtSlice path, MtElement *element)
{
	uint32_t	offset = 0;

	for (;;)
	{
		MtSlice		name = mt_path_component(path, offset);

		if (mt_bson_find(document, (const char *) name.data, name.len, element) != MT_WALK_ELEMENT)
			return false;
		offset += name.len + 1;
		if (offset > path.len)
			return true;
		if (element->type != MT_BSON_DOCUMENT)
			return false;
		document = mt_element_value(element);
	}
}

bool
mt_path_is_valid(MtSlice path)
{
	uint32_t	offset = 0;

	for (;;)
	{
		MtSlice		component = mt_path_component(path, offset);

		if (component.len == 0)
			return false;
		offset += component.len;
		if (offset == path.len)
			return true;
		offset++;
	}
}

/*
 * Comparing digits by value and the rest by bytes would not be an order ("10"
 * < "1a" < "9" < "10"), so a name that only begins with a digit comes after
 * all numbers.
 */
int
mt_path_compare_component(MtSlice a, MtSlice b)
{
	bool		a_is_number = is_digits(a);
	bool		b_is_number = is_digits(b);

	if (a_is_number && b_is_number)
		return compare_digits(a, b);
	if (a_is_number && b.len > 0 && b.data[0] >= '0' && b.data[0] <= '9')
		return -1;
	if (b_is_number && a.len > 0 && a.data[0] >= '0' && a.data[0] <= '9')
		return 1;
	return compare_bytes(a, b);
}

int
mt_path_compare(MtSlice a, MtSlice b)
{
	uint32_t	a_offset = 0;
	uint32_t	b_offset = 0;

	for (;;)
	{
		MtSlice		a_component = mt_path_component(a, a_offset);
		MtSlice		b_component = mt_path_component(b, b_offset);
		int			order = mt_path_compare_component(a_component, b_component);

		if (order != 0)
			return order;
		a_offset += a_component.len;
		b_offset += b_component.len;
		if (a_offset == a.len || b_offset == b.len)
			return (a_offset < a.len) - (b_offset < b.len);
		a_offset++;
		b_offset++;
	}
}

bool
mt_path_index(MtSlice component, uint32_t *index)
{
	uint32_t	n = 0;

	if (!is_digits(component))
		return false;
	component = without_leading_zeros(component);
	if (component.len > MT_INDEX_TEXT_BYTES - 1)
		return false;
	for (uint32_t i = 0; i < component.len; i++)
	{
		uint32_t	digit = (uint32_t) (component.data[i] - '0');

		if (n > ((uint32_t) INT32_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*index = n;
	return true;
}

bool
mt_path_looks_like_index(MtSlice component)
{
	return is_digits(component) && (component.len == 1 || component.data[0] != '0');
}

uint32_t
mt_index_text(uint32_t index, char text[MT_INDEX_TEXT_BYTES])
{
	char		reversed[MT_INDEX_TEXT_BYTES];
	uint32_t	len = 0;

	do
		reversed[len++] = (char) ('0' + index % 10);
	while ((index /= 10) > 0);
	for (uint32_t i = 0; i < len; i++)
		text[i] = reversed[len - 1 - i];
	text[len] = '\0';
	return len;
}

/*
 * fuzz_replay.c
 *		Runs a fuzz target over files, where libFuzzer is not to be had.
 *
 * Arguments are files and folders of files; each file is one input.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replayed;

static void
replay_file(const char *path, size_t size)
{
	FILE	   *file = fopen(path, "rb");
	uint8_t    *data = malloc(size ? size : 1);

	if (!file || !data || fread(data, 1, size, file) != size)
	{
		perror(path);
		exit(2);
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	replayed++;
}

static void
replay(const char *path)
{
	struct stat st;
	DIR		   *dir;
	struct dirent *entry;

	if (stat(path, &st) != 0)
	{
		perror(path);
		exit(2);
	}
	if (!S_ISDIR(st.st_mode))
	{
		replay_file(path, (size_t) st.st_size);
		return;
	}
	dir = opendir(path);
	while (dir && (entry = readdir(dir)) != NULL)
	{
		char		child[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
		replay(child);
	}
	if (dir)
		closedir(dir);
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("replayed %u inputs\n", replayed);
	return 0;
}

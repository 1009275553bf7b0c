/* A plugin for QEMU's user mode that writes down which pieces of the program's own code were run, and how often: those in the
 * main executable, neither the dynamic linker's nor the shared libraries'. For a static program that is all of it.
 *
 *   qemu-aarch64 -plugin ./coverage.so,out=covered.txt ./program
 *
 * writes "start ADDRESS", where the code was loaded, and for each piece a line "ADDRESS SIZE INSTRUCTIONS RUNS". The declarations below are
 * version 1 of QEMU's plugin interface (QEMU 7.1 to 8.x), spelled out because distributions do not package qemu-plugin.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;   /* a translation block: straight-line guest code, entered at its top only */
struct qemu_plugin_insn; /* an instruction in one */

enum { ADD_U64 = 0 }; /* the one inline operation that the interface has */

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *instruction);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_start_code(void);
uint64_t qemu_plugin_end_code(void);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*callback)(uint64_t id, struct qemu_plugin_tb *block));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation, void *cell, uint64_t amount);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*callback)(uint64_t id, void *data), void *data);

int qemu_plugin_version = 1;

struct piece {
    uint64_t address, size, count, runs; /* runs is counted by the code that QEMU makes of the piece */
    struct piece *next;
};

static struct piece *pieces;
static char out_path[4096];

/* Runs once for each block when QEMU first meets it. */
static void on_translation(uint64_t id, struct qemu_plugin_tb *block)
{
    uint64_t address = qemu_plugin_tb_vaddr(block);
    size_t count = qemu_plugin_tb_n_insns(block);
    struct piece *piece;
    (void)id;
    if (address < qemu_plugin_start_code() || address >= qemu_plugin_end_code() || count == 0)
        return;
    piece = calloc(1, sizeof *piece);
    if (piece == NULL)
        return;
    piece->address = address;
    struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(block, count - 1);
    piece->size = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last) - address;
    piece->count = count;
    piece->next = pieces;
    pieces = piece;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &piece->runs, 1);
}

static void on_exit_of_guest(uint64_t id, void *data)
{
    FILE *file = fopen(out_path, "w");
    (void)id;
    (void)data;
    if (file == NULL) {
        perror(out_path);
        return;
    }
    fprintf(file, "start %" PRIu64 "\n", qemu_plugin_start_code());
    for (struct piece *piece = pieces; piece != NULL; piece = piece->next)
        if (piece->runs != 0)
            fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", piece->address, piece->size, piece->count, piece->runs);
    fclose(file);
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "out=", 4) == 0)
            snprintf(out_path, sizeof out_path, "%s", argv[i] + 4);
    if (out_path[0] == '\0') {
        fprintf(stderr, "coverage: say where to write it, out=FILE\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_guest, NULL);
    return 0;
}

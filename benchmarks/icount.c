/* A plugin for QEMU's user mode that counts the guest instructions which the program itself executes: those in the main
 * executable's own text, neither the dynamic linker's nor the shared libraries'. For a static program that is all of it.
 *
 *   gcc -O2 -shared -fPIC icount.c -o icount.so
 *   qemu-aarch64 -plugin ./icount.so,out=counts.txt ./program
 *
 * writes two lines to counts.txt: "own N" and "all N". The declarations below are version 1 of QEMU's plugin interface
 * (QEMU 7.1 to 8.x), spelled out here because distributions do not package qemu-plugin.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb; /* a translation block: straight-line guest code, entered at its top only */

enum { ADD_U64 = 0 }; /* the one inline operation that the interface has */

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_start_code(void);
uint64_t qemu_plugin_end_code(void);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*callback)(uint64_t id, struct qemu_plugin_tb *block));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation, void *cell, uint64_t amount);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*callback)(uint64_t id, void *data), void *data);

int qemu_plugin_version = 1;

static uint64_t own, all;
static char out_path[4096];

/* Runs once for each block when QEMU first meets it; what it registers runs each time the block does. */
static void on_translation(uint64_t id, struct qemu_plugin_tb *block)
{
    uint64_t address = qemu_plugin_tb_vaddr(block), length = qemu_plugin_tb_n_insns(block);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &all, length);
    if (qemu_plugin_start_code() <= address && address < qemu_plugin_end_code())
        qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &own, length);
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
    fprintf(file, "own %" PRIu64 "\nall %" PRIu64 "\n", own, all);
    fclose(file);
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "out=", 4) == 0)
            snprintf(out_path, sizeof out_path, "%s", argv[i] + 4);
    if (out_path[0] == '\0') {
        fprintf(stderr, "icount: say where to write the counts, out=FILE\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_guest, NULL);
    return 0;
}

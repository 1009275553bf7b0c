# setjmp and longjmp between translated functions, in x86-64's own jmp_buf of 200 bytes (8-aligned), which holds here:
#    0  a mark: native code filled a buffer without it, and only its own longjmp can empty that
#    8  1 if the signal mask was saved, and the mask (8 bytes, as the kernel counts signals)
#   24  ra, sp, s0-s6, fs0-fs11: what the RISC-V psABI preserves, but the homes of flags (s7-s11), which the native entry
#       saves; a float register that holds a high half here is dead behind the call, any other is a native caller's
# sp is where the call left it. ra leads back, rsp (s6) holds no return address.
.section .text.setjmp.x86,"axG",@progbits,setjmp.x86,comdat
.p2align 2
.irp name, setjmp.x86, _setjmp.x86, sigsetjmp.x86, longjmp.x86
.weak \name
.hidden \name
.type \name, @function
.endr
.cfi_startproc
setjmp.x86:  # BSD's: with the mask
li a1, 1
j sigsetjmp.x86
_setjmp.x86:
li a1, 0
sigsetjmp.x86:  # (a0: buffer, a1: whether with the mask)
li t0, 0x867870626a6d6773
sd t0, 0(a0)
sd zero, 8(a0)
sd ra, 24(a0)
sd sp, 32(a0)
.irp n, 0, 1, 2, 3, 4, 5, 6
sd s\n, 40 + 8 * \n(a0)
.endr
.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
fsd fs\n, 96 + 8 * \n(a0)
.endr
sext.w a1, a1
beqz a1, 1f
addi sp, sp, -144
sd a0, 128(sp)
sd ra, 136(sp)
li a0, 0
li a1, 0
mv a2, sp
call sigprocmask
ld a0, 128(sp)
ld ra, 136(sp)
ld t0, 0(sp)
sd t0, 16(a0)
li t0, 1
sd t0, 8(a0)
addi sp, sp, 144
1:
li a6, 0
ret
longjmp.x86:  # (a0: buffer, a1: result); by either convention, since it does not return
ld t1, 0(a0)
li t0, 0x867870626a6d6773
beq t0, t1, 1f
sext.w a1, a1
tail longjmp
1:
ld t0, 8(a0)
beqz t0, 2f
mv s0, a0
mv s1, a1
addi sp, sp, -128
ld t0, 16(a0)
sd t0, 0(sp)
.irp offset, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120
sd zero, \offset(sp)
.endr
li a0, 2  # SIG_SETMASK
mv a1, sp
li a2, 0
call sigprocmask
mv a0, s0
mv a1, s1
2:
ld ra, 24(a0)
ld sp, 32(a0)
.irp n, 0, 1, 2, 3, 4, 5, 6
ld s\n, 40 + 8 * \n(a0)
.endr
.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
fld fs\n, 96 + 8 * \n(a0)
.endr
sext.w a6, a1
bnez a6, 3f
li a6, 1
3:
ret
.cfi_endproc

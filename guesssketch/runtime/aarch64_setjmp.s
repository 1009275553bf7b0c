// setjmp and longjmp between translated functions, in x86-64's own jmp_buf of 200 bytes (8-aligned), which holds here:
//    0  a mark: native code filled a buffer without it, and only its own longjmp can empty that
//    8  1 if the signal mask was saved, and the mask (8 bytes, as the kernel counts signals)
//   24  x28, x19-x24, x29, x30, sp, d8-d15: what AAPCS64 6.1 preserves, but the homes of flags, which the native entry saves
// sp is where the call left it. A call is `bl`: x30 leads back, rsp (x28) holds no return address.
.section .text.setjmp.x86,"axG",@progbits,setjmp.x86,comdat
.p2align 2
.irp name, setjmp.x86, _setjmp.x86, sigsetjmp.x86, longjmp.x86
.weak \name
.hidden \name
.type \name, @function
.endr
.cfi_startproc
setjmp.x86:  // BSD's: with the mask
mov w1, #1
b sigsetjmp.x86
_setjmp.x86:
mov w1, #0
sigsetjmp.x86:  // (x0: buffer, w1: whether with the mask)
movz x16, #0x6773
movk x16, #0x6a6d, lsl #16
movk x16, #0x7062, lsl #32
movk x16, #0x8678, lsl #48
mov x17, sp
stp x16, xzr, [x0]
str x28, [x0, #24]
stp x19, x20, [x0, #32]
stp x21, x22, [x0, #48]
stp x23, x24, [x0, #64]
stp x29, x30, [x0, #80]
str x17, [x0, #96]
stp d8, d9, [x0, #104]
stp d10, d11, [x0, #120]
stp d12, d13, [x0, #136]
stp d14, d15, [x0, #152]
cbz w1, 1f
sub sp, sp, #144
stp x0, x30, [sp, #128]
mov w0, #0
mov x1, #0
mov x2, sp
bl sigprocmask
ldp x0, x30, [sp, #128]
ldr x16, [sp]
mov x17, #1
stp x17, x16, [x0, #8]
add sp, sp, #144
1:
mov x8, #0
ret
longjmp.x86:  // (x0: buffer, w1: result); by either convention, since it does not return
ldr x17, [x0]
movz x16, #0x6773
movk x16, #0x6a6d, lsl #16
movk x16, #0x7062, lsl #32
movk x16, #0x8678, lsl #48
cmp x16, x17
b.eq 1f
b longjmp
1:
ldp x16, x17, [x0, #8]
cbz x16, 2f
mov x19, x0
mov w20, w1
sub sp, sp, #128
stp x17, xzr, [sp]
.irp offset, 16, 32, 48, 64, 80, 96, 112
stp xzr, xzr, [sp, #\offset]
.endr
mov w0, #2  // SIG_SETMASK
mov x1, sp
mov x2, #0
bl sigprocmask
mov x0, x19
mov w1, w20
2:
ldr x28, [x0, #24]
ldp x19, x20, [x0, #32]
ldp x21, x22, [x0, #48]
ldp x23, x24, [x0, #64]
ldp x29, x30, [x0, #80]
ldr x16, [x0, #96]
ldp d8, d9, [x0, #104]
ldp d10, d11, [x0, #120]
ldp d12, d13, [x0, #136]
ldp d14, d15, [x0, #152]
mov sp, x16
cmp w1, #0
csinc w8, w1, wzr, ne
ret
.cfi_endproc

.arch armv8.4-a
.globl _start
_start:
ldr x20,=states
ldr x21,=out
mov x22,#100
1:
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i0: ldsmax w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i1: ldsmax x2,x3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i2: ldsmaxb w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i3: ldsmaxh w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i4: ldsmaxal w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i5: ldsmin w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i6: ldsmin x2,x3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i7: ldsminb w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i8: ldsminh w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i9: ldsminal w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i10: ldumax w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i11: ldumax x2,x3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i12: ldumaxb w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i13: ldumaxh w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i14: ldumaxal w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i15: ldadd w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i16: ldadd x2,x3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i17: ldaddb w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i18: ldaddh w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i19: ldaddal w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i20: ldclr w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i21: ldclr x2,x3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i22: ldclrb w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i23: ldclrh w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i24: ldclral w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i25: swp w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i26: swp x2,x3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i27: swpb w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i28: swph w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i29: swpal w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i30: cas w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i31: cas x2,x3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i32: casb w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i33: cash w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i34: casal w2,w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i35: ldapr w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i36: ldapr x3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i37: ldaprb w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
ldp x2,x3,[x20]
ldr x4,[x20,#16]
ldr x1,=cell
str x4,[x1]
i38: ldaprh w3,[x1]
ldr x4,[x1]
stp x2,x3,[x21],#16
str x4,[x21],#8
add x20,x20,#24
sub x22,x22,#1
cbz x22,2f
b 1b
2: mov x0,#1
ldr x1,=out
ldr x2,=93600
3: mov x0,#1
mov x8,#64
svc #0
add x1,x1,x0
subs x2,x2,x0
b.gt 3b
mov x0,#0
mov x8,#93
svc #0
.ltorg
.data
.align 4
states:
.quad 0x7fff,0xb0c11fdecb91ce37,0x87b0b125ec1d7da0
.quad 0x80,0x7f,0x80
.quad 0x8000,0x80,0x8000
.quad 0x7f,0x8000,0x7f
.quad 0x80000000,0x7f,0x80000000
.quad 0xffffffffffffffff,0x7f,0x80
.quad 0xffffffff,0x8000000000000000,0xffffffff
.quad 0xff,0x7f,0xff
.quad 0x0,0x7fff,0x0
.quad 0xffff,0xffff,0x0
.quad 0xbff29101f3001cee,0xffffffffffffffff,0x0
.quad 0x7f,0x80,0x7f
.quad 0xffff,0x5ad3ba32,0x80000000
.quad 0x7fff,0x8000,0x7fffffff
.quad 0x7f,0x8000000000000000,0xff
.quad 0xffffffff,0xff,0x1
.quad 0x8895787f,0x8000000000000000,0xffffffff
.quad 0xe42d43c,0xffff,0x8000000000000000
.quad 0xffffffff,0x1,0xffffffff
.quad 0x2634f16f5f7cc5d8,0xffff,0x7fffffff
.quad 0x8000000000000000,0xff,0x8000000000000000
.quad 0x1,0x7fffffff,0xefe8b3b5a080c6a5
.quad 0xffff,0x7fffffff,0xffffffffffffffff
.quad 0x80000000,0xff,0xab163406b4581e37
.quad 0x8000000000000000,0x7fff,0xffff
.quad 0x7fff,0xff,0x7fff
.quad 0x7fff,0x8000,0x2c273105d7c6f4e2
.quad 0x7fff,0x7f,0x7fff
.quad 0xff,0xffffffff,0xc7c66f53
.quad 0xaa61e488,0x7fffffff,0x0
.quad 0xffff,0x80,0x0
.quad 0x80,0x7f,0x80
.quad 0x80,0xffff,0x80000000
.quad 0xb7cfd891,0x8000,0x1
.quad 0x7fff,0x80000000,0x7fff
.quad 0x7fff,0x8000,0xffff
.quad 0x8000,0x80,0x1740b6ae9bcddba3
.quad 0x8000,0x90d90e5a,0xa1240c23
.quad 0x8000,0xffff,0x8000
.quad 0x8000,0x7f,0xff
.quad 0x0,0xff,0x0
.quad 0xffff,0xffffffffffffffff,0xffff
.quad 0x7fffffff,0x3e5429df,0xff
.quad 0xff,0xffff,0x8000000000000000
.quad 0xffffffffffffffff,0x7fffffff,0x7fffffff
.quad 0x7fff,0x80000000,0x7fff
.quad 0xffff,0x1b8bb700,0xffffffffffffffff
.quad 0x80000000,0xffffffff,0x8000
.quad 0x64514f4279c8c490,0xff,0x10e8eef3c2192e41
.quad 0x8000,0xffffffffffffffff,0xffff
.quad 0xffff,0x7f,0x1
.quad 0x3ae28acdbb8deb7e,0xffffffff,0x1
.quad 0xffff,0x1,0xffff
.quad 0x1,0xff,0x80000000
.quad 0x7f,0x0,0x1
.quad 0x80000000,0x66061874,0x7fff
.quad 0xffff,0x7fff,0x7f
.quad 0x7fffffff,0x7fffffff,0x7fffffff
.quad 0xffffffffffffffff,0x7f,0x8000000000000000
.quad 0x8000000000000000,0x1,0x1
.quad 0x80,0xffff,0x0
.quad 0x0,0x8000,0x1
.quad 0xffff,0x8000000000000000,0xff
.quad 0x8000000000000000,0x8000,0x8000000000000000
.quad 0xff,0xa19f8cd2cdf3ebb2,0x80000000
.quad 0x8000,0x0,0x8000
.quad 0x7d728ccc,0xffffffffffffffff,0x4cf09ecc
.quad 0x8000,0x1,0x8000
.quad 0x7fff,0xde714f6d,0xff
.quad 0xff,0xffff,0x7fff
.quad 0x8000000000000000,0xffff,0xffffffff
.quad 0xffffffff,0x7f,0xffffffff
.quad 0x80,0x8000,0xff
.quad 0xff,0x8000000000000000,0xffffffff
.quad 0xffffffff,0xff,0xffffffff
.quad 0xffffffff,0x0,0x80000000
.quad 0x8000000000000000,0xffffffffffffffff,0xffffffff
.quad 0xffff,0x0,0xffff
.quad 0xffffffff,0x80,0xffffffff
.quad 0x80,0x159899af,0x8abc637a
.quad 0x99294e1e2974a768,0x0,0x80000000
.quad 0xffffffff,0x3299402,0x72f469d5b0486fb3
.quad 0x1,0x1,0x7fff
.quad 0x1,0x1,0x80
.quad 0x8000000000000000,0x80,0x1
.quad 0x7fff,0x7fffffff,0x7fff
.quad 0xffffffffffffffff,0xffff,0xffffffffffffffff
.quad 0x0,0x8000,0x0
.quad 0x7fffffff,0xff,0x7fffffff
.quad 0x7fff,0x7fffffff,0x1
.quad 0xf83362be0cf61ff6,0xff,0x7fffffff
.quad 0x80,0x7f,0x1
.quad 0x7f,0xffff,0x1
.quad 0x7221ea95,0x8000,0x7221ea95
.quad 0xab00e1ca,0xffff,0x207b235b1a831bb1
.quad 0x80,0x86a3561,0x7fff
.quad 0x80,0xff,0xffffffffffffffff
.quad 0xffffffffffffffff,0xffffffff,0xffff
.quad 0x7f,0x8000,0x7f
.quad 0xffffffffffffffff,0xe6724e9b,0xffffffffffffffff
cell: .quad 0
.bss
.align 4
out: .space 93600

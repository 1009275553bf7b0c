.Lgs_varargs:
.cfi_startproc
addi	sp, sp, -256
.cfi_def_cfa_offset 256
sd	ra, 248(sp)
sd	s0, 240(sp)
sd	s1, 232(sp)
sd	s2, 224(sp)
sd	s3, 216(sp)
sd	s4, 208(sp)
sd	s5, 200(sp)
sd	s6, 192(sp)
sd	s7, 184(sp)
sd	s8, 176(sp)
sd	s9, 168(sp)
sd	s10, 160(sp)
sd	s11, 152(sp)
.cfi_offset ra, -8
.cfi_offset s0, -16
.cfi_offset s1, -24
.cfi_offset s2, -32
.cfi_offset s3, -40
.cfi_offset s4, -48
.cfi_offset s5, -56
.cfi_offset s6, -64
.cfi_offset s7, -72
.cfi_offset s8, -80
.cfi_offset s9, -88
.cfi_offset s10, -96
.cfi_offset s11, -104
addi	s0, sp, 256
.cfi_def_cfa s0, 0
.cfi_remember_state
addi	a5, s0, -232
addi	a4, s0, -104
.Lgs_v_BB0_1:
sb	zero, 0(a5)
addi	a5, a5, 1
bne	a5, a4, .Lgs_v_BB0_1
beqz	a2, .Lgs_v_BB0_90
sd	a1, -240(s0)
li	a7, 0
li	s8, 0
li	t2, 0
andi	s11, a3, 1
andi	t1, a3, 2
addi	a6, a2, 4
li	s4, 9
li	t0, 128
li	t3, 42
addi	t4, s0, -232
li	t5, 36
li	t6, 76
li	ra, -11
li	s2, 58
li	s3, 18
lui	a1, 65
lui	a3, 131073
seqz	a4, t1
sd	a4, -248(s0)
addi	s9, a1, 533
slli	a3, a3, 17
addi	a3, a3, 7
slli	a3, a3, 12
addi	s10, a3, -1911
.Lgs_v_BB0_4:
slli	a1, s8, 2
add	s1, a6, a1
li	a5, 37
j	.Lgs_v_BB0_7
.Lgs_v_BB0_5:
add	a4, a2, a1
lw	a4, 0(a4)
beqz	a4, .Lgs_v_BB0_81
.Lgs_v_BB0_6:
addi	s8, s8, 1
addi	a1, a1, 4
addi	s1, a3, 4
beq	a4, a5, .Lgs_v_BB0_9
.Lgs_v_BB0_7:
mv	a3, s1
bnez	s11, .Lgs_v_BB0_5
add	a4, a2, s8
lbu	a4, 0(a4)
bnez	a4, .Lgs_v_BB0_6
j	.Lgs_v_BB0_81
.Lgs_v_BB0_9:
li	s1, 0
mv	s5, s8
j	.Lgs_v_BB0_11
.Lgs_v_BB0_10:
slli	a4, s1, 1
slli	s1, s1, 3
addi	s5, s5, 1
add	a4, a4, s1
add	a1, a1, a4
addi	s1, a1, -48
addi	a3, a3, 4
.Lgs_v_BB0_11:
bnez	s11, .Lgs_v_BB0_14
add	a1, a2, s5
lbu	a1, 0(a1)
addi	a4, a1, -48
bltu	s4, a4, .Lgs_v_BB0_18
bltu	s1, t0, .Lgs_v_BB0_10
j	.Lgs_v_BB0_18
.Lgs_v_BB0_14:
lw	a1, 0(a3)
addiw	a4, a1, -48
bltu	s4, a4, .Lgs_v_BB0_16
bltu	s1, t0, .Lgs_v_BB0_10
.Lgs_v_BB0_16:
bnez	s1, .Lgs_v_BB0_19
.Lgs_v_BB0_17:
sd	zero, -256(s0)
j	.Lgs_v_BB0_22
.Lgs_v_BB0_18:
beqz	s1, .Lgs_v_BB0_17
.Lgs_v_BB0_19:
bne	a1, t5, .Lgs_v_BB0_21
addi	s8, s5, 1
.Lgs_v_BB0_21:
addiw	a1, a1, -36
snez	a1, a1
addi	a1, a1, -1
and	a1, a1, s1
sd	a1, -256(s0)
.Lgs_v_BB0_22:
li	s6, 0
li	s7, 0
mv	s5, s8
li	s8, 109
j	.Lgs_v_BB0_24
.Lgs_v_BB0_23:
li	s6, 1
addi	s5, s5, 1
.Lgs_v_BB0_24:
bnez	s11, .Lgs_v_BB0_33
add	a1, a2, s5
lbu	a1, 0(a1)
beq	a1, t3, .Lgs_v_BB0_34
.Lgs_v_BB0_26:
beq	a1, t6, .Lgs_v_BB0_23
addiw	a3, a1, -58
bltu	ra, a3, .Lgs_v_BB0_32
addi	a3, a1, -32
bltu	s2, a3, .Lgs_v_BB0_30
srl	a3, s10, a3
andi	a3, a3, 1
bnez	a3, .Lgs_v_BB0_32
.Lgs_v_BB0_30:
addi	a3, a1, -104
bltu	s3, a3, .Lgs_v_BB0_50
srl	a3, s9, a3
andi	a3, a3, 1
beqz	a3, .Lgs_v_BB0_50
.Lgs_v_BB0_32:
addi	s5, s5, 1
j	.Lgs_v_BB0_24
.Lgs_v_BB0_33:
slli	a1, s5, 2
add	a1, a1, a2
lw	a1, 0(a1)
bne	a1, t3, .Lgs_v_BB0_26
.Lgs_v_BB0_34:
bnez	t1, .Lgs_v_BB0_40
li	a3, 0
addi	s1, s5, 1
slli	a1, s5, 2
add	a1, a1, a6
bnez	s11, .Lgs_v_BB0_37
.Lgs_v_BB0_36:
add	a4, a2, s1
lbu	a4, 0(a4)
addi	a5, a4, -48
bgeu	s4, a5, .Lgs_v_BB0_38
j	.Lgs_v_BB0_41
.Lgs_v_BB0_37:
lw	a4, 0(a1)
addiw	a5, a4, -48
bltu	s4, a5, .Lgs_v_BB0_41
.Lgs_v_BB0_38:
bgeu	a3, t0, .Lgs_v_BB0_41
slli	a5, a3, 1
slli	a3, a3, 3
addi	s1, s1, 1
add	a3, a3, a5
add	a3, a3, a4
addi	a3, a3, -48
addi	a1, a1, 4
bnez	s11, .Lgs_v_BB0_37
j	.Lgs_v_BB0_36
.Lgs_v_BB0_40:
li	s7, 1
addi	s5, s5, 1
j	.Lgs_v_BB0_24
.Lgs_v_BB0_41:
beqz	a3, .Lgs_v_BB0_46
bne	a4, t5, .Lgs_v_BB0_46
addi	a4, a3, -1
bgeu	a4, t0, .Lgs_v_BB0_91
add	a1, t4, a4
sb	zero, 0(a1)
mv	a1, t2
bgeu	a4, a7, .Lgs_v_BB0_49
addi	s5, s1, 1
j	.Lgs_v_BB0_24
.Lgs_v_BB0_46:
bgeu	t2, t0, .Lgs_v_BB0_91
addi	a1, t2, 1
add	a3, t4, t2
sb	zero, 0(a3)
mv	s1, s5
mv	a3, a1
bgeu	t2, a7, .Lgs_v_BB0_49
mv	t2, a1
addi	s5, s5, 1
j	.Lgs_v_BB0_24
.Lgs_v_BB0_49:
mv	t2, a1
mv	a7, a3
addi	s5, s1, 1
j	.Lgs_v_BB0_24
.Lgs_v_BB0_50:
beqz	t1, .Lgs_v_BB0_52
beq	a1, s8, .Lgs_v_BB0_32
.Lgs_v_BB0_52:
bnez	s11, .Lgs_v_BB0_54
add	a1, a2, s5
lbu	a4, 0(a1)
j	.Lgs_v_BB0_55
.Lgs_v_BB0_54:
slli	a1, s5, 2
add	a1, a1, a2
lw	a4, 0(a1)
.Lgs_v_BB0_55:
beqz	a4, .Lgs_v_BB0_81
addi	s8, s5, 1
li	a1, 37
beq	a4, a1, .Lgs_v_BB0_4
xori	a1, a4, 109
or	a1, t1, a1
seqz	a1, a1
bnez	a1, .Lgs_v_BB0_4
beqz	t1, .Lgs_v_BB0_72
li	a1, 91
bne	a4, a1, .Lgs_v_BB0_72
addi	s5, s5, 2
bnez	s11, .Lgs_v_BB0_64
add	a1, a2, s8
lbu	a1, 0(a1)
li	a3, 94
beq	a1, a3, .Lgs_v_BB0_63
mv	s5, s8
.Lgs_v_BB0_63:
add	a1, a2, s5
lbu	a1, 0(a1)
j	.Lgs_v_BB0_67
.Lgs_v_BB0_64:
slli	a1, s8, 2
add	a1, a1, a2
lw	a1, 0(a1)
li	a3, 94
beq	a1, a3, .Lgs_v_BB0_66
mv	s5, s8
.Lgs_v_BB0_66:
slli	a1, s5, 2
add	a1, a1, a2
lw	a1, 0(a1)
.Lgs_v_BB0_67:
addiw	a1, a1, -93
seqz	s8, a1
add	s8, s8, s5
slli	a1, s8, 2
li	a5, 93
beqz	s11, .Lgs_v_BB0_69
.Lgs_v_BB0_68:
add	a3, a2, a1
lw	a3, 0(a3)
bnez	a3, .Lgs_v_BB0_70
j	.Lgs_v_BB0_72
.Lgs_v_BB0_69:
add	a3, a2, s8
lbu	a3, 0(a3)
beqz	a3, .Lgs_v_BB0_72
.Lgs_v_BB0_70:
beq	a3, a5, .Lgs_v_BB0_72
addi	s8, s8, 1
addi	a1, a1, 4
bnez	s11, .Lgs_v_BB0_68
j	.Lgs_v_BB0_69
.Lgs_v_BB0_72:
ori	a1, a4, 32
addiw	a3, a1, -97
addiw	a1, a1, -101
seqz	a3, a3
sltiu	a1, a1, 3
or	a1, a1, a3
beqz	a1, .Lgs_v_BB0_74
bnez	s6, .Lgs_v_BB0_91
.Lgs_v_BB0_74:
bnez	s7, .Lgs_v_BB0_4
mv	a3, t2
ld	a5, -256(s0)
beqz	a5, .Lgs_v_BB0_77
addi	a3, a5, -1
.Lgs_v_BB0_77:
bgeu	a3, t0, .Lgs_v_BB0_91
ld	a4, -248(s0)
and	a1, a1, a4
add	a4, t4, a3
addi	a3, a3, 1
sb	a1, 0(a4)
bltu	a3, a7, .Lgs_v_BB0_80
mv	a7, a3
.Lgs_v_BB0_80:
seqz	a1, a5
add	t2, t2, a1
j	.Lgs_v_BB0_4
.Lgs_v_BB0_81:
ld	a3, -240(s0)
beqz	a7, .Lgs_v_BB0_90
lwu	a1, 0(a3)
lwu	a2, 4(a3)
ld	a5, 8(a3)
ld	a3, 16(a3)
addi	a4, s0, -232
add	a7, a7, a4
li	a6, 47
li	t0, 175
j	.Lgs_v_BB0_85
.Lgs_v_BB0_83:
addi	s1, a5, 8
.Lgs_v_BB0_84:
ld	a5, 0(a5)
addi	a4, a4, 1
sd	a5, 0(a0)
addi	a0, a0, 8
mv	a5, s1
beq	a4, a7, .Lgs_v_BB0_90
.Lgs_v_BB0_85:
lbu	s1, 0(a4)
beqz	s1, .Lgs_v_BB0_88
bltu	t0, a2, .Lgs_v_BB0_83
mv	s1, a5
add	a5, a3, a2
addi	a2, a2, 16
j	.Lgs_v_BB0_84
.Lgs_v_BB0_88:
bltu	a6, a1, .Lgs_v_BB0_83
mv	s1, a5
add	a5, a3, a1
addi	a1, a1, 8
j	.Lgs_v_BB0_84
.Lgs_v_BB0_90:
.cfi_def_cfa sp, 256
ld	ra, 248(sp)
ld	s0, 240(sp)
ld	s1, 232(sp)
ld	s2, 224(sp)
ld	s3, 216(sp)
ld	s4, 208(sp)
ld	s5, 200(sp)
ld	s6, 192(sp)
ld	s7, 184(sp)
ld	s8, 176(sp)
ld	s9, 168(sp)
ld	s10, 160(sp)
ld	s11, 152(sp)
.cfi_restore ra
.cfi_restore s0
.cfi_restore s1
.cfi_restore s2
.cfi_restore s3
.cfi_restore s4
.cfi_restore s5
.cfi_restore s6
.cfi_restore s7
.cfi_restore s8
.cfi_restore s9
.cfi_restore s10
.cfi_restore s11
addi	sp, sp, 256
.cfi_def_cfa_offset 0
ret
.Lgs_v_BB0_91:
.cfi_restore_state
unimp
.Lgs_v_func_end0:
.cfi_endproc

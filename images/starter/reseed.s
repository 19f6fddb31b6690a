# reseed: gives the 64 random bytes that it reads to the kernel as entropy, and makes the kernel draw on them at once, so that
# two machines that were one until now draw different numbers. No program of the distribution's small ones does both.
# Ends with 0 only when the kernel took them; 64 bytes are what it hashes into a key. x86-64, no library.
# @see Linux, drivers/char/random.c: RNDADDENTROPY, RNDRESEEDCRNG
.set random_bytes, 64
.set sys_read, 0
.set sys_open, 2
.set sys_ioctl, 16
.set sys_exit, 60
.set write_only, 1
.set RNDADDENTROPY, 0x40085203
.set RNDRESEEDCRNG, 0x5207

.section .data
device: .asciz "/dev/random"
.balign 4
# struct rand_pool_info: entropy in bits, size in bytes, the bytes
pool: .long random_bytes * 8, random_bytes
bytes: .skip random_bytes

.section .text
.globl _start
_start:
  xor %ebx, %ebx                # how many have been read
more:
  xor %edi, %edi
  lea bytes(%rip), %rsi
  add %rbx, %rsi
  mov $random_bytes, %edx
  sub %rbx, %rdx
  mov $sys_read, %eax
  syscall
  test %rax, %rax
  jle failed                    # too few
  add %rax, %rbx
  cmp $random_bytes, %rbx
  jb more

  lea device(%rip), %rdi
  mov $write_only, %esi
  mov $sys_open, %eax
  syscall
  test %eax, %eax
  js failed
  mov %eax, %ebx

  mov %ebx, %edi
  mov $RNDADDENTROPY, %esi
  lea pool(%rip), %rdx
  mov $sys_ioctl, %eax
  syscall
  test %eax, %eax
  js failed

  mov %ebx, %edi
  mov $RNDRESEEDCRNG, %esi
  xor %edx, %edx
  mov $sys_ioctl, %eax
  syscall
  test %eax, %eax
  js failed

  xor %edi, %edi
  jmp end
failed:
  mov $1, %edi
end:
  mov $sys_exit, %eax
  syscall

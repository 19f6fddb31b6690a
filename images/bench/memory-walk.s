# memory-walk: two loads on memory, each printed as one line of two numbers: what was done, and the nanoseconds it took.
# x86-64, no library, so that nothing but the memory is measured.
#
#   memory-walk chase KIB SECONDS  follows pointers through KIB of memory in random order, each load waiting for the one
#                                  before; prints loads. Small, it measures caches; large, memory and address translation.
#   memory-walk touch KIB          writes a byte to each 4 KiB of KIB of fresh memory, once; prints pages.
.set sys_write, 1
.set sys_mmap, 9
.set sys_exit, 60
.set sys_clock_gettime, 228
.set clock_monotonic, 1
.set line_shift, 6
.set page_bytes, 4096
# Loads between two looks at the clock.
.set batch, 16384

.section .bss
.lcomm time, 16
.lcomm text, 64

.section .text
.globl _start
_start:
  mov (%rsp), %rax              # argc, argv[0], mode, KIB, SECONDS
  cmp $3, %rax
  jb wrong
  mov 24(%rsp), %rsi
  call number
  test %rax, %rax
  jz wrong
  shl $10, %rax
  mov %rax, %r12                # size in bytes
  xor %edi, %edi
  mov %r12, %rsi
  mov $3, %edx                  # to read and write
  mov $0x22, %r10d              # private, anonymous
  mov $-1, %r8
  xor %r9d, %r9d
  mov $sys_mmap, %eax
  syscall
  cmp $-4096, %rax
  ja wrong
  mov %rax, %rbx                # where it begins
  mov 16(%rsp), %rax
  cmpb $'t', (%rax)
  je touch
  cmpq $4, (%rsp)
  jb wrong
  mov 32(%rsp), %rsi
  call number
  imul $1000000000, %rax, %r15  # how long, in nanoseconds

# A permutation in one cycle (Sattolo): line i holds the address of the next.
  mov %r12, %r13
  shr $line_shift, %r13         # lines
  xor %ecx, %ecx
identity:
  mov %rcx, %rax
  shl $line_shift, %rax
  add %rbx, %rax
  mov %rax, (%rax)
  inc %rcx
  cmp %r13, %rcx
  jb identity
  mov $88172645463325252, %r9   # xorshift64
  lea -1(%r13), %rcx
shuffle:
  mov %r9, %rax
  shl $13, %rax
  xor %rax, %r9
  mov %r9, %rax
  shr $7, %rax
  xor %rax, %r9
  mov %r9, %rax
  shl $17, %rax
  xor %rax, %r9
  mov %r9, %rax
  xor %edx, %edx
  div %rcx                      # rdx: below rcx
  shl $line_shift, %rdx
  mov (%rbx,%rdx), %rax
  mov %rcx, %rsi
  shl $line_shift, %rsi
  mov (%rbx,%rsi), %rdi
  mov %rdi, (%rbx,%rdx)
  mov %rax, (%rbx,%rsi)
  dec %rcx
  jnz shuffle

  call now
  mov %rax, %r14                # when it began
  xor %ebp, %ebp                # loads
more:
  mov $batch, %ecx
load:
  mov (%rbx), %rbx
  dec %ecx
  jnz load
  add $batch, %rbp
  call now
  sub %r14, %rax
  cmp %r15, %rax
  jb more
  jmp tell

touch:
  call now
  mov %rax, %r14
  xor %ebp, %ebp                # pages
  xor %ecx, %ecx
page:
  movb $1, (%rbx,%rcx)
  inc %rbp
  add $page_bytes, %rcx
  cmp %r12, %rcx
  jb page
  call now
  sub %r14, %rax

# rbp: what was done, rax: nanoseconds.
tell:
  lea text+64(%rip), %rdi
  dec %rdi
  movb $'\n', (%rdi)
  call digits
  dec %rdi
  movb $' ', (%rdi)
  mov %rbp, %rax
  call digits
  mov %rdi, %rsi
  lea text+64(%rip), %rdx
  sub %rdi, %rdx
  mov $1, %edi
  mov $sys_write, %eax
  syscall
  xor %edi, %edi
  jmp end
wrong:
  mov $2, %edi
end:
  mov $sys_exit, %eax
  syscall

# rax: the decimal number at rsi.
number:
  xor %eax, %eax
digit:
  movzbl (%rsi), %edx
  sub $'0', %edx
  cmp $9, %edx
  ja number_end
  imul $10, %rax, %rax
  add %rdx, %rax
  inc %rsi
  jmp digit
number_end:
  ret

# Writes rax in decimal before rdi, and moves rdi there.
digits:
  mov $10, %ecx
  xor %edx, %edx
  div %rcx
  add $'0', %dl
  dec %rdi
  mov %dl, (%rdi)
  test %rax, %rax
  jnz digits
  ret

# rax: nanoseconds of the clock that only goes forward. Destroys rcx, rdx, rsi, rdi, r11.
now:
  mov $clock_monotonic, %edi
  lea time(%rip), %rsi
  mov $sys_clock_gettime, %eax
  syscall
  mov time(%rip), %rax
  imul $1000000000, %rax, %rax
  add time+8(%rip), %rax
  ret

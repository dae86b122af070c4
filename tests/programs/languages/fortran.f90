!# needs: gfortran
!# libs: -lgfortran -lm
!# modes: one nopie O2
!# compilers: gcc
! Modules, arrays, formatted output, a common block, and calls to and from C.
module shapes
  implicit none
  real(8) :: scale = 2.0d0
contains
  pure function area(r) result(a)
    real(8), intent(in) :: r
    real(8) :: a
    a = 3.0d0 * r * r
  end function
end module

program test
  use shapes
  use iso_c_binding
  implicit none
  interface
    function from_c(x) bind(c)
      import :: c_int
      integer(c_int), value :: x
      integer(c_int) :: from_c
    end function
  end interface
  integer :: i, shared
  real(8) :: values(5)
  character(len=20) :: text
  common /block/ shared
  shared = 5
  values = [(real(i, 8) ** 2, i = 1, 5)]
  write (*, '(5f8.3)') values * scale
  print '(a, f10.4)', 'area ', area(1.5d0)
  print '(a, i0)', 'from C ', from_c(20)
  write (text, '(i5.5)') shared
  print *, trim(text), matmul(reshape([1, 2, 3, 4], [2, 2]), [1, 1])
end program

integer(c_int) function doubled(x) bind(c)
  use iso_c_binding
  integer(c_int), value :: x
  doubled = x * 2
end function
!--- c.c
extern struct { int shared; } block_;
int doubled(int);
int from_c(int x) { return doubled(x) + block_.shared++; }

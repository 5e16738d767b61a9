"""Which instruction sets this processor runs: compiled without any of them, and so it can be asked on every machine."""

cdef extern from "kernels/simd.h":
    bint has_avx2() noexcept
    bint has_avx512() noexcept


def processor_has(str isa):
    """Does this processor, under this operating system, run instruction set "avx2" (with FMA) or "avx512"?"""
    return has_avx2() if isa == "avx2" else has_avx512()

/* SPDX-License-Identifier: MIT */
/* Floating point and SIMD. */
#include "tests/bench/workloads/work.h"

#include <immintrin.h>

/* ---- matrices of doubles ---- */

enum { SIZE = 64 };
static double a[SIZE][SIZE] __attribute__((aligned(64))),
	b[SIZE][SIZE] __attribute__((aligned(64))), c[SIZE][SIZE] __attribute__((aligned(64)));

static void fill_matrices(void)
{
	for (int i = 0; i < SIZE * SIZE; i++) {
		a[i / SIZE][i % SIZE] = i % 7 + 0.5;
		b[i / SIZE][i % SIZE] = i % 11 - 3.25;
	}
}

static u64 matrix_sum(void)
{
	return hash_bytes(0, c[SIZE - 1], sizeof c[0]);
}

static u64 matrix_scalar(void)
{
	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j++) {
			double total = 0;
			for (int k = 0; k < SIZE; k++)
				total += a[i][k] * b[k][j];
			c[i][j] = total;
		}
	return matrix_sum();
}

static u64 matrix_sse2(void)
{
	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j += 4) {
			__m128d low = _mm_setzero_pd(), high = low;
			for (int k = 0; k < SIZE; k++) {
				__m128d factor = _mm_set1_pd(a[i][k]);
				low = _mm_add_pd(low, _mm_mul_pd(factor, _mm_load_pd(&b[k][j])));
				high = _mm_add_pd(
					high, _mm_mul_pd(factor, _mm_load_pd(&b[k][j + 2])));
			}
			_mm_store_pd(&c[i][j], low);
			_mm_store_pd(&c[i][j + 2], high);
		}
	return matrix_sum();
}

static __attribute__((target("avx2"))) u64 matrix_avx2(void)
{
	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j += 8) {
			__m256d low = _mm256_setzero_pd(), high = low;
			for (int k = 0; k < SIZE; k++) {
				__m256d factor = _mm256_broadcast_sd(&a[i][k]);
				low = _mm256_add_pd(
					low, _mm256_mul_pd(factor, _mm256_load_pd(&b[k][j])));
				high = _mm256_add_pd(
					high, _mm256_mul_pd(factor, _mm256_load_pd(&b[k][j + 4])));
			}
			_mm256_store_pd(&c[i][j], low);
			_mm256_store_pd(&c[i][j + 4], high);
		}
	return matrix_sum();
}

static const char *lacks_avx2(void)
{
	return __builtin_cpu_supports("avx2") ? NULL : "AVX2";
}

/* ---- others ---- */

static u64 n_body(void)
{
	double place[5][3], speed[5][3], mass[5];
	for (int i = 0; i < 5; i++) {
		mass[i] = 1.0 / (i + 1);
		for (int k = 0; k < 3; k++) {
			place[i][k] = (i * 7 + k * 5) % 11 - 4.5;
			speed[i][k] = (i * 3 + k) % 5 * 0.1 - 0.2;
		}
	}
	for (int step = 0; step < 400; step++) {
		for (int i = 0; i < 5; i++)
			for (int j = i + 1; j < 5; j++) {
				double d[3], square = 0.01;
				for (int k = 0; k < 3; k++) {
					d[k] = place[i][k] - place[j][k];
					square += d[k] * d[k];
				}
				double pull = 0.001 /
					(square * _mm_cvtsd_f64(_mm_sqrt_pd(_mm_set1_pd(square))));
				for (int k = 0; k < 3; k++) {
					speed[i][k] -= d[k] * mass[j] * pull;
					speed[j][k] += d[k] * mass[i] * pull;
				}
			}
		for (int i = 0; i < 5; i++)
			for (int k = 0; k < 3; k++)
				place[i][k] += 0.001 * speed[i][k];
	}
	return hash_bytes(0, place, sizeof place);
}

static u64 x87(void)
{
	long double value = 1, step = 1.0000001L, sum = 0;
	for (int i = 0; i < 5000; i++) {
		value = value * step + 1 / value;
		sum += i & 1 ? value : -value;
	}
	return (u64)(value * 1000) + (u64)(long)(sum * 1000);
}

/* Sums of absolute differences, as video coders make them. */
static u64 integer_simd(void)
{
	const __m128i *one = (const __m128i *)buffer, *other = one + 4096;
	__m128i sum = _mm_setzero_si128(), most = sum;
	for (int i = 0; i < 4096; i++) {
		__m128i x = _mm_load_si128(one + i), y = _mm_load_si128(other + i);
		sum = _mm_add_epi64(sum, _mm_sad_epu8(x, y));
		most = _mm_max_epi16(
			most, _mm_madd_epi16(_mm_unpacklo_epi8(x, y), _mm_srai_epi16(y, 3)));
		sum = _mm_xor_si128(sum, _mm_shuffle_epi32(most, 0x1b));
	}
	return (u64)_mm_cvtsi128_si64(sum) ^ (u64)_mm_cvtsi128_si64(_mm_srli_si128(sum, 8));
}

const struct workload floating_work[] = {
	{"matrix-scalar", fill_matrices, .once = matrix_scalar},
	{"matrix-sse2", fill_matrices, .once = matrix_sse2},
	{"matrix-avx2", fill_matrices, .once = matrix_avx2, .lacks = lacks_avx2},
	{"n-body", .once = n_body},
	{"x87", .once = x87},
	{"integer-simd", .once = integer_simd},
	{0},
};

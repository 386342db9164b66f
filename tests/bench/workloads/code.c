/* SPDX-License-Identifier: MIT */
/* Code that is new, that is made at run time, or that lies beside what is written; and much code that stays as it is. */
#include "tests/bench/workloads/work.h"

#include <string.h>
#include <sys/mman.h>

enum {
	FUNCTION_BYTES = 256,
	FUNCTIONS = 1024,
	BODY = 50,
	REGION = FUNCTIONS * FUNCTION_BYTES,
	REGIONS = 16
};
enum {
	FUNCTION_INSTRUCTIONS = 1 + 1 + BODY + 1,
	TAG = 1
}; /* TAG: where a function's dead constant is */

typedef u32 function(u32 value, u32 other);

static u8 *code;	 /* REGIONS of them, writable and executable */
static u8 model[REGION]; /* what is copied there */

/* A function of BODY simple instructions: `mov r8d, constant; mov eax, edi; ...; ret`, the flow straight, short jumps included. */
static void make_function(u8 *at)
{
	static const struct {
		u8 length, bytes[6];
	} pieces[] = {
		{2, {0x01, 0xf0}},		     /* add eax, esi */
		{2, {0x31, 0xf8}},		     /* xor eax, edi */
		{3, {0x0f, 0xaf, 0xc6}},	     /* imul eax, esi */
		{3, {0xc1, 0xc0, 0x07}},	     /* rol eax, 7 */
		{3, {0x8d, 0x34, 0x47}},	     /* lea esi, [rdi+rax*2] */
		{5, {0x05, 0x15, 0x7c, 0x4a, 0x7f}}, /* add eax, 0x7f4a7c15 */
		{2, {0x29, 0xc7}},		     /* sub edi, eax */
		{2, {0x85, 0xc0}},		     /* test eax, eax */
		{2, {0x78, 0x00}},		     /* js to the next instruction */
		{4, {0x89, 0x44, 0x24, 0xf8}},	     /* mov [rsp-8], eax */
		{4, {0x03, 0x74, 0x24, 0xf8}},	     /* add esi, [rsp-8] */
		{3, {0x0f, 0xb6, 0xd0}},	     /* movzx edx, al */
	};
	static const u8 head[] = {0x41, 0xb8, 0, 0, 0, 0, 0x89, 0xf8, 0x89, 0x44, 0x24, 0xf8};
	memcpy(at, head, sizeof head);
	at += sizeof head;
	for (int i = 0; i < BODY - 1; i++) {
		unsigned which = (next_random() >> 20) % (sizeof pieces / sizeof *pieces);
		memcpy(at, pieces[which].bytes, pieces[which].length);
		at += pieces[which].length;
	}
	*at = 0xc3;
}

static void make_code(void)
{
	if (!code)
		code = mmap(NULL, REGIONS * REGION, PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED)
		fail("no memory for code");
	for (int i = 0; i < FUNCTIONS; i++)
		make_function(model + i * FUNCTION_BYTES);
	for (int i = 0; i < REGIONS; i++)
		memcpy(code + i * REGION, model, REGION);
}

static u32 call_all(const u8 *region)
{
	u32 sum = 0;
	for (int i = 0; i < FUNCTIONS; i++)
		sum = sum * 31 + ((function *)(region + i * FUNCTION_BYTES))(i, sum);
	return sum;
}

/* The dead constants make it new code each time. */
static u64 run_once(void)
{
	static u32 times;
	u8 *region = code + times % REGIONS * REGION;
	memcpy(region, model, REGION);
	times++;
	for (int i = 0; i < FUNCTIONS; i++)
		memcpy(region + i * FUNCTION_BYTES + TAG + 1, &times, 4);
	return call_all(region);
}

static u64 run_warm(void)
{
	u64 sum = 0;
	for (int i = 0; i < 4; i++)
		sum += call_all(code + i * REGION);
	return sum;
}

/* As a compiler at run time does: a function is made, and used some times. */
static u64 generated(void)
{
	static u32 times;
	u64 sum = 0;
	for (int i = 0; i < 100; i++) {
		u8 *at = code + times++ % 64 * FUNCTION_BYTES;
		memcpy(at, model + i * FUNCTION_BYTES, FUNCTION_BYTES);
		memcpy(at + TAG + 1, &times, 4);
		for (int k = 0; k < 50; k++)
			sum = sum * 31 + ((function *)at)(k, (u32)sum);
	}
	return sum;
}

/* A page that holds a function and what is written between its calls. */
static u64 beside_data(void)
{
	volatile u32 *data = (u32 *)(code + 2048);
	u64 sum = 0;
	*data = 0;
	for (int i = 0; i < 500; i++) {
		*data += i;
		sum = sum * 31 + ((function *)code)(i, *data);
	}
	return sum;
}

/* mov eax, constant; ret: the constant is rewritten before each call. */
static u64 self_modifying(void)
{
	u8 *at = code + 8 * FUNCTION_BYTES;
	u64 sum = 0;
	memcpy(at, (u8[]){0xb8, 0, 0, 0, 0, 0xc3}, 6);
	for (u32 i = 0; i < 200; i++) {
		*(volatile u32 *)(at + 1) = i * 77;
		sum = sum * 31 + ((function *)at)(0, 0);
	}
	memcpy(at, model + 8 * FUNCTION_BYTES, 6);
	return sum;
}

const struct workload code_work[] = {
	{"code-run-once", make_code, .once = run_once,
		.instructions = FUNCTIONS * FUNCTION_INSTRUCTIONS},
	{"code-generated", make_code, .once = generated},
	{"code-and-data", make_code, .once = beside_data},
	{"self-modifying", make_code, .once = self_modifying},
	{"code-1MiB-warm", make_code, .once = run_warm,
		.instructions = 4 * FUNCTIONS * FUNCTION_INSTRUCTIONS},
	{0},
};

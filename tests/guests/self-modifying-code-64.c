/* SPDX-License-Identifier: MIT */
/* Self-modifying code under paging: two addresses of one page, and one address of several pages. */
#include "code.h"

#define A 0x400000000000ul
#define B 0x400000200000ul

void guest_main(void)
{
	u64 *pdpt = page_alloc(), *pd = page_alloc(), *pt_a = page_alloc(), *pt_b = page_alloc();
	u8 *one = page_alloc(), *two = page_alloc();

	test_code();
	pml4[A >> 39 & 511] = (u64)pdpt | 7;
	pdpt[0] = (u64)pd | 7;
	pd[0] = (u64)pt_a | 7;
	pd[1] = (u64)pt_b | 7;
	pt_a[0] = (u64)one | 7;
	pt_b[0] = (u64)one | 7;
	put_code(one, 0x10);
	value("by address A", run((u8 *)A));
	value("by address B", run((u8 *)B));
	put_code((u8 *)B, 0x11);
	value("written by B, run by A", run((u8 *)A));
	put_code((u8 *)A, 0x12);
	value("written by A, run by B", run((u8 *)B));
	put_code(one, 0x13);
	value("written by the page's own address, run by A", run((u8 *)A));
	/* one address, another page */
	put_code(two, 0x20);
	pt_a[0] = (u64)two | 7;
	invlpg(A);
	value("A shows another page", run((u8 *)A));
	put_code(one, 0x14);
	value("the first page has changed: A", run((u8 *)A));
	value("the first page has changed: B", run((u8 *)B));
	pt_a[0] = (u64)one | 7;
	cr3_set(cr3_get());
	value("A shows the first page again", run((u8 *)A));
	word sum = 0;
	for (int i = 0; i < 100; i++) {
		pt_a[0] = (u64)(i & 1 ? one : two) | 7;
		invlpg(A);
		sum += run((u8 *)A);
	}
	value("a hundred remaps, the sum", sum);
	/* code over the end of A into a page that is remapped */
	pt_a[0] = (u64)one | 7;
	pt_a[1] = (u64)two | 7;
	invlpg(A);
	invlpg(A + 4096);
	put_code((u8 *)A + 4096 - 2, 0x01020304);
	value("over the end of A", run((u8 *)A + 4096 - 2));
	u8 *three = page_alloc();
	copy(three, two, 64);
	three[0] = 0x55;
	pt_a[1] = (u64)three | 7;
	invlpg(A + 4096);
	value("its second page is another", run((u8 *)A + 4096 - 2));
	three[1] = 0x66;
	value("that page has changed", run((u8 *)A + 4096 - 2));
}

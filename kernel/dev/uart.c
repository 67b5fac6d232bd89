/* SPDX-License-Identifier: MIT */
/*
 * The 16550 UART (National Semiconductor PC16550D data sheet): a terminal, and a console that works
 * without interrupts.
 *
 * Sending: as long as the transmitter's FIFO is empty it is filled with up to 16 bytes; if something
 * is left, the "transmitter empty" interrupt goes on. Receiving is by interrupt only.
 */
#include <vellum/device.h>
#include <vellum/alloc.h>
#include <vellum/boot.h>
#include <vellum/irq.h>
#include <vellum/printk.h>
#include <vellum/format.h>
#include <vellum/string.h>
#include <vellum/tty.h>
#include <linux/serial_reg.h>

#define FIFO_DEPTH       16
#define UART_MAJOR       4
#define UART_FIRST_MINOR 64

struct uart {
    struct uart_port *port; /* [i] */
    spinlock_t lock;        /* interrupts off; the registers. Taken inside tty->lock */
    u8 interrupts;          /* [lock] what IER holds */
    char name[8];
    struct tty tty;
    struct uart *next;
};

static struct uart *uarts; /* those added, in order */
static struct uart_port *early_port;
static struct console uart_console;

static u8 get(struct uart_port *port, unsigned reg)
{
    return port->read(port, reg);
}

static void put(struct uart_port *port, unsigned reg, u8 value)
{
    port->write(port, reg, value);
}

/* ---- console: polled ------------------------------------------------------------------------------ */

static void wait_empty(struct uart_port *port)
{
    while (!(get(port, UART_LSR) & UART_LSR_THRE))
        cpu_relax();
}

static void write_polled(struct uart_port *port, const char *text, size_t n)
{
    for (size_t i = 0, room = 0; i < n; i++) {
        if (room < 2) {
            wait_empty(port);
            room = FIFO_DEPTH;
        }
        if (text[i] == '\n') {
            put(port, UART_TX, '\r');
            room--;
        }
        put(port, UART_TX, text[i]);
        room--;
    }
}

/* Under the UART's lock once there is one, so that a line does not fall into a program's output in
 * the middle of a FIFO load; in a panic the lock may be held by a stopped CPU: one try only. */
static void console_write(struct console *console, const char *text, size_t n)
{
    struct uart *u = uarts;
    bool locked = u && spin_trylock(&u->lock);

    write_polled(early_port, text, n);
    if (locked)
        spin_unlock(&u->lock);
}

static void set_up_port(struct uart_port *port)
{
    put(port, UART_IER, 0);
    put(port, UART_LCR, UART_LCR_WLEN8);
    put(port, UART_FCR,
        UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT | UART_FCR_TRIGGER_8);
    put(port, UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
}

void uart_early_console(struct uart_port *port)
{
    if (early_port)
        return;
    early_port = port;
    set_up_port(port);
    uart_console.name = "ttyS0";
    uart_console.write = console_write;
    console_register(&uart_console);
}

/* ---- terminal: by interrupt ------------------------------------------------------------------------- */

static void set_interrupts(struct uart *u, u8 mask)
{
    if (u->interrupts == mask)
        return;
    u->interrupts = mask;
    put(u->port, UART_IER, mask);
}

/* => tty->lock held */
static void uart_start_output(struct tty *tty)
{
    struct uart *u = tty->driver_data;
    u8 bytes[FIFO_DEPTH];
    size_t n = 0;

    spin_lock_raw(&u->lock);
    while (get(u->port, UART_LSR) & UART_LSR_THRE) {
        n = tty_output_take(tty, bytes, sizeof(bytes));
        if (n == 0)
            break;
        for (size_t i = 0; i < n; i++)
            put(u->port, UART_TX, bytes[i]);
    }
    set_interrupts(u, UART_IER_RDI |
                          (byte_ring_empty(&tty->output) || tty->stopped ? 0 : UART_IER_THRI));
    spin_unlock_raw(&u->lock);
}

static void receive(struct uart *u)
{
    u8 bytes[FIFO_DEPTH * 4], status;
    size_t n = 0;

    spin_lock_raw(&u->lock);
    while (n < sizeof(bytes) && ((status = get(u->port, UART_LSR)) & UART_LSR_DR)) {
        u8 c = get(u->port, UART_RX);

        if (!(status & UART_LSR_BI))
            bytes[n++] = c;
    }
    spin_unlock_raw(&u->lock);
    if (n > 0)
        tty_receive(&u->tty, bytes, n);
}

static bool uart_interrupt(unsigned line, void *arg)
{
    struct uart *u = arg;
    bool any = false;
    u8 cause;

    while (!((cause = get(u->port, UART_IIR)) & UART_IIR_NO_INT)) {
        any = true;
        if ((cause & UART_IIR_ID) == UART_IIR_THRI) {
            spin_lock_raw(&u->tty.lock);
            uart_start_output(&u->tty);
            spin_unlock_raw(&u->tty.lock);
        } else {
            receive(u); /* data, time-out, line status */
            get(u->port, UART_MSR);
        }
    }
    return any;
}

static const struct tty_driver uart_driver = {.start_output = uart_start_output};

void uart_add(struct uart_port *port)
{
    struct uart *u = kzalloc(sizeof(*u), ALLOC_KERNEL), **end = &uarts;

    if (!u) {
        pr_err("uart: no memory");
        return;
    }
    u->port = port;
    spin_init(&u->lock);
    if (port != early_port)
        set_up_port(port);
    while (*end)
        end = &(*end)->next;
    *end = u;
}

void uart_init(void)
{
    unsigned n = 0;

    for (struct uart *u = uarts; u; u = u->next, n++) {
        int error;

        snprintf(u->name, sizeof(u->name), "ttyS%u", n);
        error = tty_register(&u->tty, u->name, dev_make(UART_MAJOR, UART_FIRST_MINOR + n),
                             &uart_driver, u);
        if (error == 0)
            error = irq_request(u->port->irq, uart_interrupt, u, u->name, u->port->irq_level,
                                u->port->irq_active_low);
        if (error) {
            pr_err("%s: error %d", u->name, -error);
            continue;
        }
        set_interrupts(u, UART_IER_RDI);
        pr_info("%s: 16550, irq %u", u->name, u->port->irq);
    }
}

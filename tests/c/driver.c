/* SPDX-License-Identifier: MIT */
/*
 * Reads "kind sizes hex" per line and writes one reading per line as JSON: what tests/micropython/reading.py does for the
 * codec, with roller_protocol.h. "sizes" are 256 hex pairs of bytes per sample by stream id, 00 where unknown.
 * messages.inc is made by the test from the tables: one reader per record, request, reply and sample.
 */
#include <stdio.h>
#include <stdlib.h>

#include "roller_protocol.h"

enum { ROOM = 4096 };
static uint8_t again[ROOM];

static void fail(const char *why)
{
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static void show_hex(const uint8_t *bytes, size_t length)
{
    printf("\"");
    for (size_t i = 0; i < length; i++) {
        printf("%02x", bytes[i]);
    }
    printf("\"");
}

static void show_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    printf("\"%08lx\"", (unsigned long)bits);
}

static void show_wire(size_t length)
{
    printf(", \"wire\": ");
    show_hex(again, length);
}

/* An encoder must fill its room to the last byte and refuse one byte less: `needed` and what it said to each. */
static void check_room(size_t needed, size_t fitted, size_t cramped)
{
    if (needed == 0 || fitted != needed || cramped != 0) {
        fail("an encoder misjudges its room");
    }
}

#include "messages.inc"

static bool read_packet(const uint8_t *in, size_t length, const uint8_t *sizes)
{
    rp_packet_reader reader;
    rp_packet_header header;
    rp_block block;
    rp_walk found;
    int unknown = -1;
    if (!rp_open_packet(&reader, in, length, &header)) {
        return false;
    }
    printf("{\"header\": [%u, %u, %lu, %lu], \"blocks\": [", header.ptype, header.flags, (unsigned long)header.seq,
           (unsigned long)header.t0_us);
    memset(again, 0xa5, sizeof again);
    size_t at = rp_encode_packet_header(again, ROOM, &header);
    const char *comma = "";
    while ((found = rp_next_block(&reader, &block)) == RP_BLOCK || found == RP_UNKNOWN) {
        const rp_block_header head = block.header;
        if (found == RP_UNKNOWN) {
            unknown = unknown < 0 ? head.stream_id : unknown;
            const uint8_t size = sizes[head.stream_id];
            if (size == 0) {
                break;
            }
            if (!rp_skip_block(&reader, &block, size)) {
                found = RP_CUT;
                break;
            }
            continue;
        }
        printf("%s[%u, %u, %u, [", comma, head.stream_id, head.offset_us, head.period_us);
        comma = ", ";
        at += rp_encode_block_header(again + at, ROOM - at, &head);
        for (size_t i = 0; i < head.count; i++) {
            const uint8_t *sample = in + block.at + i * rp_sample_size(head.stream_id);
            printf("%s", i ? ", " : "");
            at += read_sample(head.stream_id, sample, again + at, ROOM - at);
        }
        printf("]]");
    }
    printf("], \"unknown\": ");
    printf(unknown < 0 ? "null" : "%d", unknown);
    show_wire(at);
    printf("}");
    return found != RP_CUT;
}

static bool read_request(const uint8_t *in, size_t length)
{
    uint8_t op, tag;
    if (!rp_decode_request(in, length, &op, &tag)) {
        return false;
    }
    printf("{\"op\": %u, \"tag\": %u, \"fields\": ", op, tag);
    return read_request_of(op, tag, in, length);
}

static bool read_response(const uint8_t *in, size_t length)
{
    rp_response response;
    if (!rp_decode_response(in, length, &response)) {
        return false;
    }
    printf("{\"op\": %u, \"tag\": %u, \"status\": %u, \"fields\": ", response.op, response.tag, response.status);
    if (response.status == RP_STATUS_OK) {
        return read_reply_of(response.op, response.tag, in, length);
    }
    printf("null");
    memset(again, 0xa5, sizeof again);
    show_wire(rp_encode_refusal(again, ROOM, response.op, response.tag, response.status));
    printf("}");
    return true;
}

static size_t from_hex(const char *text, uint8_t *out)
{
    size_t length = 0;
    unsigned octet;
    while (length < ROOM && sscanf(text + 2 * length, "%2x", &octet) == 1) {
        out[length++] = (uint8_t)octet;
    }
    return length;
}

int main(void)
{
    static char line[4 * ROOM], sizes_text[2 * 256 + 1], payload_text[2 * ROOM + 1];
    static uint8_t sizes[256 + 1];
    char kind[16];
    while (fgets(line, sizeof line, stdin)) {
        payload_text[0] = '\0';
        if (sscanf(line, "%15s %512s %8192s", kind, sizes_text, payload_text) < 2) {
            fail("bad line");
        }
        from_hex(sizes_text, sizes);
        uint8_t *payload = malloc(strlen(payload_text) / 2 + 1); /* of its own, so that reading too far is found */
        if (payload == NULL) {
            fail("no memory");
        }
        const size_t length = from_hex(payload_text, payload);
        const bool is_read = strcmp(kind, "packet") == 0     ? read_packet(payload, length, sizes)
                             : strcmp(kind, "request") == 0  ? read_request(payload, length)
                             : strcmp(kind, "response") == 0 ? read_response(payload, length)
                                                             : read_record(kind, payload, length);
        printf(is_read ? "\n" : " refused\n");
        free(payload);
    }
    return 0;
}

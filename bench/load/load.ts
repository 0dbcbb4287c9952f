/** The process of all clients that POST: the same for every contender. */
import { setTimeout as pause } from 'node:timers/promises';
import type { CreateRequest } from '../contender.ts';
import { serveCommands, sharedNow } from '../streams/commands.ts';
import { encodePost, type LightClient, openLightClient, type Request } from './light-client.ts';

export type LoadCommands = typeof commands;

export interface Target extends CreateRequest {
  url: string;
}

export interface Posted {
  /** In milliseconds of the Unix epoch. */
  startedAt: number;
  endedAt: number;
  latenciesMs: Float64Array;
}

const commands = {
  /** So many requests, each connection sending its next one as soon as the last is answered. */
  async postAll(options: { target: Target; count: number; connections: number }): Promise<Posted> {
    const { target, count, connections } = options;
    const nextRequest = encodePosts(target);
    const clients = await openClients(target.url, connections);
    const latenciesMs = new Float64Array(count);
    let next = 0;

    async function postOn(client: LightClient) {
      while (next < count) {
        const index = next++;
        const sentAt = performance.now();
        await client.send(nextRequest());
        latenciesMs[index] = performance.now() - sentAt;
      }
    }

    const startedAt = now();
    await Promise.all(clients.map(postOn));
    const endedAt = now();
    for (const client of clients) client.close();
    return { startedAt, endedAt, latenciesMs };
  },

  /**
   * So many requests a second, whatever becomes of the earlier ones. Each counts from when it was due: where it has to
   * wait for a connection, that is part of what a client would wait.
   */
  async postSteadily(options: {
    target: Target;
    perSecond: number;
    seconds: number;
    connections: number;
  }): Promise<Posted> {
    const { target, perSecond, seconds, connections } = options;
    const nextRequest = encodePosts(target);
    const idle = await openClients(target.url, connections);
    const clients = [...idle];
    const waiting: number[] = [];
    const latencies: number[] = [];
    const underWay = new Set<Promise<void>>();
    const total = Math.round(perSecond * seconds);

    async function post(client: LightClient, dueAt: number) {
      for (let due: number | undefined = dueAt; due !== undefined; due = waiting.shift()) {
        await client.send(nextRequest());
        latencies.push(performance.now() - due);
      }
      idle.push(client);
    }

    const startedAt = now();
    const zero = performance.now();
    for (let sent = 0; sent < total; ) {
      const due = zero + (sent / perSecond) * 1_000;
      if (due > performance.now()) {
        await nextTurn(due - performance.now());
        continue;
      }
      sent += 1;
      // In turn, so that none is idle for so long that the server closes it.
      const client = idle.shift();
      if (client === undefined) {
        waiting.push(due);
        continue;
      }
      const work = post(client, due).finally(() => underWay.delete(work));
      underWay.add(work);
    }
    while (underWay.size > 0) await Promise.all(underWay);
    const endedAt = now();
    for (const client of clients) client.close();
    return { startedAt, endedAt, latenciesMs: Float64Array.from(latencies) };
  },

  /** One at a time, with idle time in between. @returns when each was sent, by the id that came back */
  async postSingly(options: {
    target: Target;
    count: number;
    /** How long to wait between two, at least and at most: by chance, so as to meet no timer in step. */
    gapMs: readonly [number, number];
  }): Promise<Map<string, number>> {
    const { target, count, gapMs } = options;
    const request = encodePost(target);
    const client = await openLightClient(target.url);
    const sentAt = new Map<string, number>();
    for (let i = 0; i < count; i += 1) {
      await pause(gapMs[0] + Math.random() * (gapMs[1] - gapMs[0]));
      const at = sharedNow();
      const [, id = ''] = /"id":"([^"]+)"/.exec(await client.send(request)) ?? [];
      sentAt.set(id, at);
    }
    client.close();
    return sentAt;
  },
};

serveCommands(commands);

function openClients(url: string, count: number): Promise<LightClient[]> {
  return Promise.all(Array.from({ length: count }, () => openLightClient(url)));
}

/** @returns what gives the next request to send */
function encodePosts({ bodies, ...target }: Target): () => Request {
  const requests = (bodies ?? [target.body]).map((body) => encodePost({ ...target, body }));
  let next = 0;
  // Each index is one of theirs.
  return () => requests[next++ % requests.length] as Request;
}

/** Of the Unix epoch, to a fraction of a millisecond. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Timers are late by a millisecond or more, and a busy loop would take the processor from the server. */
function nextTurn(ms: number): Promise<void> {
  return pause(Math.max(0, Math.floor(ms)));
}

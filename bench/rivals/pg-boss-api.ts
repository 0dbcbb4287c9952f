/** pg-boss behind the least of an HTTP API: its own table is the row that clients ask for. */
import { openBoss, QUEUE } from './open-boss.ts';
import { servePosts } from './serve-posts.ts';
import { readSettings } from './settings.ts';

const boss = await openBoss(readSettings(), { isApi: true });

servePosts(async (body) => (await boss.send(QUEUE, body)) ?? '');

import { pino } from 'pino';
import { createRabbitBroker } from '../../src/broker/rabbit-broker.ts';
import { RABBIT_URL, useRabbitNamespace } from '../support/rabbit.ts';
import { describeBroker } from './broker-contract.ts';

describeBroker('RabbitMQ', async () => {
  const { namespace } = await useRabbitNamespace();
  return createRabbitBroker({ url: RABBIT_URL, namespace, log: pino({ level: 'silent' }) });
});

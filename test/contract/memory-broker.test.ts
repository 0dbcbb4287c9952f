import { createMemoryBroker } from '../../src/broker/memory-broker.ts';
import { describeBroker } from './broker-contract.ts';

describeBroker('in-process', async () => createMemoryBroker());

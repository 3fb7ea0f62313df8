import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

const debian = '/usr/lib/rabbitmq/lib';
const homebrew = [
  process.env.HOMEBREW_PREFIX ?? '/opt/homebrew',
  '/opt/homebrew',
  '/usr/local',
  '/home/linuxbrew/.linuxbrew',
];

/** The folder of rabbitmq-server and rabbitmqctl; undefined when RabbitMQ is not installed. */
export function findRabbitmq() {
  return candidates().find((folder) => existsSync(path.join(folder, 'rabbitmq-server')));
}

/** Debian's real scripts come before the wrappers on PATH, which switch to the user rabbitmq. */
function candidates() {
  const versions = existsSync(debian) ? readdirSync(debian).toSorted(byNewest) : [];
  return [
    ...versions.map((name) => path.join(debian, name, 'sbin')),
    ...homebrew.map((prefix) => path.join(prefix, 'opt/rabbitmq/sbin')),
    ...(process.env.PATH ?? '').split(path.delimiter),
  ];
}

function byNewest(a, b) {
  return b.localeCompare(a, 'en', { numeric: true });
}

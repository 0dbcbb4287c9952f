import { readFileSync } from 'node:fs';

export const readme = readFileSync('README.md', 'utf8');

/** The README's fenced blocks of one language. */
export function blocks(language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms');
  return [...readme.matchAll(fence)].map(([, text]) => String(text));
}

/** The JavaScript of the README that says this, as it is but for the address. @param url of the service instead */
export function snippet(said: string, url: string): string {
  const [found, ...others] = blocks('js').filter((block) => block.includes(said));
  if (found === undefined || others.length > 0) {
    throw new Error(
      `The README says "${said}" in ${found === undefined ? 'no' : 'several'} blocks.`,
    );
  }
  return found
    .replaceAll('http://localhost:8000', url)
    .replaceAll('ws://localhost:8000', url.replace('http', 'ws'));
}

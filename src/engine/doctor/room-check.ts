import type { Finding } from '../../model/finding.ts';
import type { HostLook } from './host-facts.ts';

const GIGA = 2 ** 30;

/** Where images, volumes and logs are. */
export function checkRoom({ room, dataRoot }: Pick<HostLook, 'room' | 'dataRoot'>): readonly Finding[] {
  const { free, total, inodes } = room;
  const little = free < Math.min(GIGA, total * 0.05);
  if (!little && inodes > 0.03) return [];
  const text = (bytes: number): string => `${(bytes / GIGA).toFixed(1)} GB`;
  return [
    {
      kind: 'disk-full',
      area: 'room',
      severity: free < GIGA / 10 || inodes < 0.005 ? 'error' : 'warning',
      subject: dataRoot,
      sentence: little
        ? `The disk of ${dataRoot} is nearly full: images cannot be pulled, and containers cannot write.`
        : `The disk of ${dataRoot} has hardly a free inode: no file can be made.`,
      evidence: [
        `${text(free)} of ${text(total)} are free, and ${(inodes * 100).toFixed(0)} % of the inodes`,
      ],
      fix: ['docker system df', 'docker system prune -f'],
    },
  ];
}

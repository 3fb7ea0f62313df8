export declare function findRabbitmq(): string | undefined;

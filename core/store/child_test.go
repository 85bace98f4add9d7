package store

func beChild() {}

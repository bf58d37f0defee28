package proxy

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
)

// unknownFields are fields of a record that this version does not know. They are written back, so that a newer proxy
// finds them again.
type unknownFields struct {
	Service, Options, TargetOptions, Kamald map[string]json.RawMessage
}

func (rec *serviceRecord) UnmarshalJSON(data []byte) error {
	type plain serviceRecord
	if err := json.Unmarshal(data, (*plain)(rec)); err != nil {
		return err
	}
	var parts struct {
		Options       json.RawMessage `json:"options"`
		TargetOptions json.RawMessage `json:"target_options"`
		Kamald        json.RawMessage `json:"kamald"`
	}
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	var errs [4]error
	rec.unknown.Service, errs[0] = unknownOf(data, *rec)
	rec.unknown.Options, errs[1] = unknownOf(parts.Options, rec.Options)
	rec.unknown.TargetOptions, errs[2] = unknownOf(parts.TargetOptions, rec.TargetOptions)
	rec.unknown.Kamald, errs[3] = unknownOf(parts.Kamald, deployRecord{})
	return errors.Join(errs[:]...)
}

func (rec serviceRecord) MarshalJSON() ([]byte, error) {
	if rec.raw != nil {
		return rec.raw, nil
	}
	type plain serviceRecord
	data, err := json.Marshal(plain(rec))
	if err != nil || rec.unknown.none() {
		return data, err
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, err
	}
	for name, more := range map[string]map[string]json.RawMessage{
		"options": rec.unknown.Options, "target_options": rec.unknown.TargetOptions, "kamald": rec.unknown.Kamald,
	} {
		if err := addFields(whole, name, more); err != nil {
			return nil, err
		}
	}
	for name, value := range rec.unknown.Service {
		whole[name] = value
	}
	return json.Marshal(whole)
}

func (u unknownFields) none() bool {
	return len(u.Service)+len(u.Options)+len(u.TargetOptions)+len(u.Kamald) == 0
}

func addFields(whole map[string]json.RawMessage, name string, more map[string]json.RawMessage) error {
	if len(more) == 0 || whole[name] == nil {
		return nil
	}
	var part map[string]json.RawMessage
	if err := json.Unmarshal(whole[name], &part); err != nil {
		return err
	}
	for field, value := range more {
		part[field] = value
	}
	data, err := json.Marshal(part)
	whole[name] = data
	return err
}

// unknownOf returns the fields of an object that known, a struct, has none for.
func unknownOf(object json.RawMessage, known any) (map[string]json.RawMessage, error) {
	if len(object) == 0 {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		return nil, err
	}
	for field := range reflect.TypeOf(known).Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		delete(fields, name)
	}
	return fields, nil
}
